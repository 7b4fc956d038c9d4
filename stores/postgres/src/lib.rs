//! Realtime state, tables and generations in PostgreSQL: cells, progress and epoch in one transaction.
#![forbid(unsafe_code)]
