//! Accepts mail: from accept to 250.
