//! What a tracker remembers, as plain numbers.
//!
//! The factor is not among them: it is found again from the state and the sigmas it belongs to, to
//! the bit, because it is always made where a tick ends.

use crate::complex::Complex;
use crate::estimation::tracker::StandIn;
use crate::estimation::tracker::Tracker;
use crate::estimation::tracker::engine::Engine;
use crate::estimation::tracker::engine::Numbers;
use crate::estimation::tracker::held_out::HeldOut;
use crate::estimation::tracker::history::History;

/// Values with their standard deviations, by instant.
type Words = Vec<(u64, (f64, f64))>;

/// Everything that [`Tracker::restore`] needs. Which bytes it becomes is for the caller to say;
/// they are read by the version that wrote them only.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Saved {
    /// Which network and which points it is of: see [`Tracker::fingerprint`].
    fingerprint: u64,
    values: Vec<Words>,
    positions: Vec<Vec<(u64, bool)>>,
    /// Injection; power and sigmas.
    stand_ins: Vec<(usize, [f64; 4])>,
    held_out: Vec<(usize, u32)>,
    held_out_then: Vec<(u64, HeldOut)>,
    sources: Vec<(usize, Words)>,
    last_at: Option<u64>,
    named: Vec<Option<(f64, f64)>>,
    engine: Numbers,
}

/// What was saved is of another network or other points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved state is of another network or of other points")]
pub struct AnotherNetwork;

impl Tracker {
    /// Everything that is remembered.
    pub fn save(&self) -> Saved {
        let stand_ins = self.stand_ins.iter();
        let numbers = |of: &StandIn| [of.s.re, of.s.im, of.sigma.re, of.sigma.im];
        Saved {
            fingerprint: self.fingerprint(),
            values: self.values.iter().map(History::words).collect(),
            positions: self.positions.iter().map(History::words).collect(),
            stand_ins: stand_ins.map(|(&injection, of)| (injection, numbers(of))).collect(),
            held_out: self.held_out.iter().map(|(&slot, &agreed)| (slot, agreed)).collect(),
            held_out_then: self.held_out_then.words(),
            sources: self.sources.iter().map(|(&bus, of)| (bus, of.words())).collect(),
            last_at: self.last_at,
            named: self.named.clone(),
            engine: self.engine.save(),
        }
    }

    /// Takes back what was saved; goes on to the bit as the tracker that saved it.
    ///
    /// # Errors
    /// It is of another network or of other points.
    pub fn restore(&mut self, saved: &Saved) -> Result<(), AnotherNetwork> {
        let counts = [saved.values.len(), saved.positions.len(), saved.named.len()];
        let same = saved.fingerprint == self.fingerprint();
        if !same || counts != [self.values.len(), self.positions.len(), self.named.len()] {
            return Err(AnotherNetwork);
        }
        let engine = Engine::restore(&self.model, &self.points, &self.free_ratios, &saved.engine);
        self.engine = engine.ok_or(AnotherNetwork)?;
        self.values = saved.values.iter().map(|words| History::of(words)).collect();
        self.positions = saved.positions.iter().map(|words| History::of(words)).collect();
        let stand_in = |of: [f64; 4]| StandIn {
            s: Complex::new(of[0], of[1]),
            sigma: Complex::new(of[2], of[3]),
        };
        let stand_ins = saved.stand_ins.iter();
        self.stand_ins = stand_ins.map(|&(injection, of)| (injection, stand_in(of))).collect();
        self.held_out = saved.held_out.iter().copied().collect();
        self.held_out_then = History::of(&saved.held_out_then);
        let sources = saved.sources.iter();
        self.sources = sources.map(|(bus, words)| (*bus, History::of(words))).collect();
        self.last_at = saved.last_at;
        self.named.clone_from(&saved.named);
        Ok(())
    }

    /// A number that tells networks and lists of points apart: of the points their identifiers and
    /// places, of the network its branches, switches and injections (FNV-1a, 64 bit).
    fn fingerprint(&self) -> u64 {
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        for point in &self.points {
            hash.add(format!("{} {:?} {:?}", point.id, point.quantity, point.target).as_bytes());
        }
        for branch in &self.model.branches {
            hash.add(format!("{} {} {:?}", branch.from, branch.to, branch.y).as_bytes());
        }
        for switch in &self.model.switches {
            hash.add(format!("{:?}", switch.acts).as_bytes());
        }
        for injection in &self.model.injections {
            hash.add(format!("{} {:?}", injection.bus, injection.holds).as_bytes());
        }
        for free in &self.free_ratios {
            hash.add(format!("{free:?}").as_bytes());
        }
        hash.0
    }
}

struct Fnv(u64);

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
