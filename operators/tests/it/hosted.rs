//! Hosted.
