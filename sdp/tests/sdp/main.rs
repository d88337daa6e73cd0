//! Offers of real clients, the traps in them, rejections and hostile texts. The corpus holds offers as they were sent.

mod codecs;
mod corpus;
mod counter;
mod data;
mod exact;
mod fixture;
mod golden;
mod hostile;
mod rejections;
mod simulcast;
mod traps;
mod validator;
