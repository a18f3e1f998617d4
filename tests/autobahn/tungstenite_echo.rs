//! A WebSocket that echoes, by tokio-tungstenite alone: what Autobahn says of it is what Dualcast is measured by.

use futures::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind(std::env::var("ADDR").unwrap_or("127.0.0.1:0".into())).await?;
    eprintln!("listening on ws://{}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        tokio::spawn(echo(socket));
    }
}

async fn echo(socket: TcpStream) {
    let Ok(mut stream) = accept_async(socket).await else {
        return;
    };
    while let Some(Ok(message)) = stream.next().await {
        if (message.is_text() || message.is_binary()) && stream.send(message).await.is_err() {
            return;
        }
    }
}
