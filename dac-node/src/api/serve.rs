//! The HTTP server: one task per connection, with bounds that axum's own server does not set.
//!
//! Bounds: connections at once, bytes and number of headers, time for headers and between requests, a stalled
//! reader, and the time a graceful shutdown may take. Requests with a bad head are answered by hyper itself with an
//! empty 400 or 431, before any route is known.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::stall::StallGuard;

/// Bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServeLimits {
    /// Connections at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Bytes of one request head. At least 8192.
    pub header_bytes_max: usize,
    /// Headers of one request.
    pub headers_max: usize,
    /// Longest time for a request head, counted from the end of the request before.
    pub header_read_max: Duration,
    /// Longest time in which a client reads nothing of an answer.
    pub write_stall_max: Duration,
    /// How long requests may go on after the shutdown began.
    pub shutdown_max: Duration,
}

impl Default for ServeLimits {
    /// 1024 connections, 16 KiB and 64 headers, 30 s each, 20 s for the shutdown.
    fn default() -> Self {
        ServeLimits {
            connections_max: 1024,
            header_bytes_max: 16 << 10,
            headers_max: 64,
            header_read_max: Duration::from_secs(30),
            write_stall_max: Duration::from_secs(30),
            shutdown_max: Duration::from_secs(20),
        }
    }
}

/// Why the server stopped other than by its shutdown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener fails for a reason that waiting does not cure.
    #[error("accepting connections: {0}")]
    Accept(#[source] io::Error),
}

/// Serves until `shutdown` resolves, then lets requests end for `shutdown_max` and cuts off the rest.
///
/// # Errors
/// [`ServeError::Accept`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServeLimits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    let result = loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            (accept(&listener).await, slot)
        };
        tokio::select! {
            biased;
            () = &mut shutdown => break Ok(()),
            Some(_) = connections.join_next() => {}
            (accepted, slot) = next => match accepted {
                Ok(socket) => {
                    let connection = serve_connection(socket, router.clone(), limits, stopping.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                Err(error) => break Err(error),
            },
        }
    };
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if timeout(limits.shutdown_max, drained).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests cut off by the shutdown");
        connections.shutdown().await;
    }
    result
}

/// The next connection. Errors of one connection, and a process out of descriptors, do not end the server.
async fn accept(listener: &TcpListener) -> Result<TcpStream, ServeError> {
    loop {
        let error = match listener.accept().await {
            Ok((socket, _)) => return Ok(socket),
            Err(error) => error,
        };
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted => {}
            io::ErrorKind::InvalidInput => return Err(ServeError::Accept(error)),
            _ => {
                tracing::warn!(%error, "accepting a connection failed, trying again in 1 s");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve_connection(
    socket: TcpStream,
    router: Router,
    limits: ServeLimits,
    mut stopping: watch::Receiver<bool>,
) {
    // Answers are written in few large parts; waiting to fill a segment only adds delay.
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "connection lost before its first request");
        return;
    }
    let io = TokioIo::new(StallGuard::new(socket, limits.write_stall_max));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_max)
        .max_buf_size(limits.header_bytes_max.max(8192))
        .max_headers(limits.headers_max)
        .half_close(true)
        .serve_connection(io, TowerToHyperService::new(router));
    tokio::pin!(connection);
    let stopped = async {
        // An error means that the server is gone, which is a stop as well.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
}
