//! A next hop's position in the line for connections, released on drop.

use std::sync::Arc;

use postern_policy::concurrency::Class;

use crate::destination::Destination;

/// Marks that a next hop is in line for a place of one class: only once, until this is dropped.
#[must_use]
pub(crate) struct InLine {
    destination: Arc<Destination>,
    class: Class,
}

impl InLine {
    /// Puts the next hop in line for a class; `None` if it is already in line.
    pub(crate) fn stand(destination: &Arc<Destination>, class: Class) -> Option<Self> {
        destination.enter_line(class).then(|| Self {
            destination: destination.clone(),
            class,
        })
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    pub(crate) fn destination(&self) -> &Arc<Destination> {
        &self.destination
    }

    /// It has its turn, and is no longer in line.
    pub(crate) fn leave(self) -> Arc<Destination> {
        self.destination.clone()
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        self.destination.leave_line(self.class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise a next hop would never get a connection again.
    #[tokio::test]
    async fn it_is_given_back_by_a_panic_and_by_a_future_that_is_dropped() {
        let destination = Destination::for_tests();
        let stand = || InLine::stand(&destination, Class::Users);
        let in_line = stand().unwrap();
        assert!(stand().is_none(), "once");
        assert!(
            InLine::stand(&destination, Class::Reports).is_some(),
            "once each class"
        );
        let ended = tokio::spawn(async move {
            let _in_line = in_line;
            panic!("as whoever gives out places may");
        });
        assert!(ended.await.unwrap_err().is_panic());

        let in_line = stand().expect("free after the panic");
        let future = async move {
            std::future::pending::<()>().await;
            drop(in_line);
        };
        assert!(
            futures_util::poll!(Box::pin(future)).is_pending(),
            "and dropped with it"
        );

        let in_line = stand().expect("free after the future");
        drop(in_line.leave());
        assert!(stand().is_some(), "free after its turn");
    }
}
