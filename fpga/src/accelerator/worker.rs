//! The thread that owns the device.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::request::{Command, Request};
use super::session::Session;
use super::{AcceleratorConfig, Attached, Shared};
use crate::deadline::Deadline;
use crate::{Connect, Fault, FaultKind};

/// After this many answers a device counts as healthy, and its next fault is the first again.
const HEALTHY_AFTER_ANSWERS: u64 = 256;

pub(super) struct Worker<C> {
    connect: C,
    config: AcceleratorConfig,
    shared: Arc<Shared>,
    commands: Receiver<Command>,
}

/// Why a session ended.
enum End {
    Fault(Fault),
    /// A caller closed the gate; it has counted why.
    Doubted,
    /// The accelerator was dropped.
    Dropped,
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl<C: Connect> Worker<C> {
    pub(super) fn new(
        connect: C,
        config: AcceleratorConfig,
        shared: Arc<Shared>,
        commands: Receiver<Command>,
    ) -> Self {
        Self { connect, config, shared, commands }
    }

    /// Attaches, serves, and tries again after faults, until the accelerator is dropped.
    pub(super) fn run(mut self, first_attempt: &SyncSender<()>) {
        let mut pause = self.config.reattach_after;
        let mut is_first_failure = true;
        for attachment in 1.. {
            match self.attach(attachment) {
                Ok(mut session) => {
                    tracing::info!(connect = ?self.connect, "hash device attached after a good self-test");
                    self.open(&session, attachment);
                    let _nobody_waits = first_attempt.try_send(());
                    let mut waiting = None;
                    let end = self.serve(&mut session, &mut waiting);
                    // Counted before anybody learns by a dropped request that something went wrong.
                    if let End::Fault(fault) = &end {
                        self.shared.faults.count(fault);
                    }
                    self.close();
                    let answered = session.answered();
                    drop((session, waiting));
                    match end {
                        End::Dropped => return,
                        End::Doubted => self.report(&Fault::WrongDigest),
                        End::Fault(fault) => self.report(&fault),
                    }
                    if answered > HEALTHY_AFTER_ANSWERS {
                        pause = self.config.reattach_after;
                    }
                    is_first_failure = false;
                }
                Err(fault) => {
                    self.shared.faults.count(&fault);
                    if std::mem::take(&mut is_first_failure) {
                        self.report(&fault);
                    }
                    let _nobody_waits = first_attempt.try_send(());
                }
            }
            if self.pause(pause) {
                return;
            }
            pause = (pause * 2).min(self.config.reattach_after_max);
        }
    }

    fn attach(&mut self, attachment: u64) -> Result<Session<C::Device>, Fault> {
        let deadline = Deadline::after(self.config.timeout);
        let device = self.connect.connect(deadline.timeout()).map_err(Fault::Unavailable)?;
        Session::attach(device, attachment, self.config.timeout, deadline, &self.config.software)
    }

    fn report(&self, fault: &Fault) {
        let kind = fault.kind().label();
        tracing::warn!(connect = ?self.connect, kind, %fault, "hash device detached; hashing in software");
    }

    /// A good answer that nobody waits for any more. Each is counted, the first is reported.
    fn late(&self) {
        if self.shared.faults.count(&Fault::Late) == 0 {
            let (connect, kind) = (&self.connect, FaultKind::Late.label());
            tracing::warn!(
                ?connect,
                kind,
                "the hash device answers too late; what it is late with is hashed in software"
            );
        }
    }

    /// Lets callers in.
    fn open(&self, session: &Session<C::Device>, number: u64) {
        let mut attached = self.shared.attached.write().unwrap_or_else(PoisonError::into_inner);
        self.shared.attachments.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        *attached = Some(Attached { limits: session.limits(), number });
    }

    /// Keeps callers out and drops what they had left: they hash it in software.
    fn close(&self) {
        *self.shared.attached.write().unwrap_or_else(PoisonError::into_inner) = None;
        while self.commands.try_recv().is_ok() {}
    }

    /// Waits with the gate closed; whether the accelerator was dropped meanwhile.
    fn pause(&self, pause: Duration) -> bool {
        let deadline = Deadline::after(pause);
        while let Some(left) = deadline.left() {
            match self.commands.recv_timeout(left) {
                Err(RecvTimeoutError::Disconnected) => return true,
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
        false
    }

    /// Serves callers until something ends it.
    fn serve(&self, session: &mut Session<C::Device>, waiting: &mut Option<Request>) -> End {
        loop {
            if let Err(end) = self.turn(session, waiting) {
                return end;
            }
        }
    }

    /// Sends what there is room for, then waits for a reply, or for a request if none is in flight.
    fn turn(&self, session: &mut Session<C::Device>, waiting: &mut Option<Request>) -> Result<(), End> {
        while session.has_room() {
            let packet = self.gather(session, waiting)?;
            if packet.is_empty() {
                break;
            }
            session.send(packet)?;
        }
        if !session.is_idle() {
            for _ in 0..session.receive()? {
                self.late();
            }
        } else if waiting.is_none() {
            *waiting = Some(self.next()?);
        }
        self.still_trusted()
    }

    /// Requests for one packet: those of the queue's front that fit together.
    fn gather(
        &self,
        session: &Session<C::Device>,
        waiting: &mut Option<Request>,
    ) -> Result<Vec<Request>, End> {
        let mut packet = Vec::new();
        loop {
            let next = match waiting.take() {
                Some(request) => request,
                None => match self.commands.try_recv() {
                    Ok(Command::Request(request)) => request,
                    Ok(Command::Detach) => return Err(End::Doubted),
                    Err(TryRecvError::Empty) => return Ok(packet),
                    Err(TryRecvError::Disconnected) => return Err(End::Dropped),
                },
            };
            if !session.fits(&packet, &next) {
                *waiting = Some(next);
                return Ok(packet);
            }
            packet.push(next);
        }
    }

    fn next(&self) -> Result<Request, End> {
        match self.commands.recv() {
            Ok(Command::Request(request)) => Ok(request),
            Ok(Command::Detach) => Err(End::Doubted),
            Err(_) => Err(End::Dropped),
        }
    }

    /// A caller that found a wrong digest closes the gate, whether its message found room in the queue or not.
    fn still_trusted(&self) -> Result<(), End> {
        let attached = self.shared.attached.read().unwrap_or_else(PoisonError::into_inner);
        if attached.is_some() { Ok(()) } else { Err(End::Doubted) }
    }
}
