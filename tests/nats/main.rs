//! Over NATS: what its operators and other clients of it meet. Each test has a server of its own, with users of its own.

#![allow(clippy::unwrap_used)]

mod access;
mod health;
mod holes;
mod lives;
mod orders;
mod outside;
mod past;
mod presence;
mod privileges;
mod publishing;
mod retention;
mod volatile;
mod works;
