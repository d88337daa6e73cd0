//! Data channels in virtual time.

mod bounds;
mod browser;
mod delivery;
mod hostile;
mod network;
