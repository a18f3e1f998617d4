//! cargo run -p hello
use axum::routing::{any, get, post};
use axum::{Router, extract::State, response::Response};
use dualcast::{Channel, Error, Hub, Message, Sse, Ws};

async fn sse(State(hello): State<Channel>, sse: Sse) -> Response {
    sse.subscribe(hello)
}

async fn ws(State(hello): State<Channel>, ws: Ws) -> Response {
    ws.subscribe(hello)
}

async fn publish(State(hello): State<Channel>, text: String) -> Result<String, Error> {
    let position = hello.publish(Message::text("message", text)).await?;
    Ok(format!("{position}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hello = Hub::new().channel("hello")?;
    let app = Router::new()
        .route("/", get("Open this page's console."))
        .route("/sse", get(sse))
        .route("/ws", any(ws))
        .route("/publish", post(publish))
        .with_state(hello);

    let address = std::env::var("ADDR").unwrap_or("127.0.0.1:3000".into());
    let listener = tokio::net::TcpListener::bind(address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    let ctrl_c = async { drop(tokio::signal::ctrl_c().await) };
    dualcast::serve(listener, app)
        .with_graceful_shutdown(ctrl_c)
        .await?;
    Ok(())
}
