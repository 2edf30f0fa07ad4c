//! What a model would have said: a history is told again in the order in which it became known.
//!
//! Origins roll through a window; at each the model is asked, and what it says is kept beside what
//! came. Everything before the window is training and is told in the same way, so a model that
//! learns online learns exactly as it would have then.
//!
//! ```text
//! readings   ──────────────●                    ●: the origin, the newest reading that is told
//! weather    ──────────────┼────────▶           at most `horizon` steps beyond it
//! targets                  │○○○○○○○○○
//! ```
//!
//! Read in this order: [`Frame`] (a history, and where origins are), [`weather`] (when weather
//! became known), [`run`] (the loop), [`evaluate`] (the loop, scored).
//!
//! # What an origin knows
//!
//! **Invariant:** at origin `o` a model has been told the readings up to `o`, and of the weather
//! what was issued at `o` or before; nothing else. There is one loop for all models, and none sees
//! the frame.
//!
//! # What it does not do
//!
//! It reads no file, and it does not choose among models by what they scored: that would be looking
//! ahead.

mod frame;
mod run;
mod scored;
pub mod weather;

pub use self::frame::Frame;
pub use self::frame::FrameError;
pub use self::frame::Origins;
pub use self::run::RunError;
pub use self::run::run;
pub use self::scored::Held;
pub use self::scored::Scored;
pub use self::scored::Shown;
pub use self::scored::evaluate;
