//! The handlers, one file each: load, act, record.
