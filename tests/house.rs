//! The rules of the house: which crate may know which, what every file begins with, and documents that say what the code does.

#![allow(clippy::unwrap_used)]

mod house {
    mod edges;
    mod files;
    mod protocol;
}
