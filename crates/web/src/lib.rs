//! The web page: what it shows as types, made into HTML.
//!
//! A page is a [`Frame`] with a list of [`Section`]s: facts, tables, forms, a time line. There is one template, so that headings, labels,
//! captions and keyboard order are the same everywhere. Every text passes one escaper ([`escape::Visible`]), so that neither markup
//! nor a character that hides or turns others gets out, whoever wrote it. Scripts and styles are files of their own with hashed names
//! ([`assets`]); nothing is asked of another host.
//!
//! It opens no socket, reads no clock and knows no mail server.

pub mod assets;
pub mod escape;
mod frame;
mod href;
mod parts;
mod qr;
mod render;

pub use self::frame::{Area, Frame, Notice, Tone, Viewer};
pub use self::href::{path, query};
pub use self::parts::{
    Act, Bar, Cell, Chart, Column, Field, Form, Found, Input, Link, Method, Row, Section, Select, Step,
    Table, Tile,
};
pub use self::qr::{BadQr, Qr};
pub use self::render::Page;
