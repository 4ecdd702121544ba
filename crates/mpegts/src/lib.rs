//! MPEG-TS muxer, sans-IO
