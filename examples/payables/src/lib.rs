//! payables
