//! From decisions to records and, once those are durable, to devices.
//!
//! [`records`] turns what the agents said at a tick into audit records; [`outbox`] sends the
//! setpoints whose records are durable, and after a crash exactly those that did not leave.
//! [`definitions`] says which settings and views the log knows.

pub mod definitions;
pub mod outbox;
pub mod records;
