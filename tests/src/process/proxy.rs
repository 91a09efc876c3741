//! Into a member's namespace by TCP: a listener out here, a thread in there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::namespace::Namespace;

/// A way in, until it is dropped.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Leads to an address inside. What listens there may come and go.
    pub(super) fn new(namespace: &Namespace, to: SocketAddr) -> anyhow::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (end, ended) = oneshot::channel();
        let namespace = namespace.try_clone()?;
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            // Whoever cannot enter listens in vain, and its test says that nobody answers.
            if namespace.enter().is_ok() {
                carry(listener, to, ended);
            }
        })?;
        Ok(Proxy { address, end: Some(end), thread: Some(thread) })
    }

    /// Where it listens, out here.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _said = thread.join();
        }
    }
}

fn carry(listener: TcpListener, to: SocketAddr, ended: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
        let accept = async {
            while let Ok((mut outside, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut inside) = TcpStream::connect(to).await {
                        // A connection that breaks on one side ends on the other.
                        let _ended = copy_bidirectional(&mut outside, &mut inside).await;
                    }
                });
            }
        };
        tokio::select! {
            () = accept => {}
            _ = ended => {}
        }
    });
}
