//! Realtime state and tables in Redis: cells, progress and epoch in one script.
#![forbid(unsafe_code)]
