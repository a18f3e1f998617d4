//! The application itself, which knows of no transport.

use dualcast::{Channel, Error, Inbound, InboundHandler};

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) room: Channel,
}

impl App {
    /// What becomes of a message, whichever way it came.
    pub(crate) fn inbound(&self) -> impl InboundHandler + use<> {
        let room = self.room.clone();
        move |message: Inbound| {
            let room = room.clone();
            async move {
                let message = match &*message.event {
                    "note" => message.into_message(),
                    "typing" => message.into_message().volatile(),
                    unknown => return Err(Error::unknown_event(unknown)),
                };
                Ok(room.publish(message).await?)
            }
        }
    }
}
