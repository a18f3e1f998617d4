//! A model that says nothing new: it repeats the words of a prompt, over and over, at a pace of its own.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time;

/// How many words may wait for whoever takes them.
const AHEAD: usize = 8;

/// So many words of an answer. They come from a task of their own, which ends when nobody takes them.
pub(crate) fn answer(prompt: &str, words: usize, pace: Duration) -> mpsc::Receiver<String> {
    let (say, said) = mpsc::channel(AHEAD);
    let mut vocabulary: Vec<String> = prompt.split_whitespace().map(str::to_owned).collect();
    if vocabulary.is_empty() {
        vocabulary.push("…".into());
    }
    tokio::spawn(async move {
        for number in 0..words {
            time::sleep(pace).await;
            let word = format!("{} ", vocabulary[number % vocabulary.len()]);
            if say.send(word).await.is_err() {
                return;
            }
        }
    });
    said
}
