//! Bytes to requests and responses to bytes. Knows no socket, no clock and no other room.
