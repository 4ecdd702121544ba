//! Sockets to protocol to hub: one file per protocol
