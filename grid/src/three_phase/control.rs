//! Controls: what moves taps and switches capacitors.

pub mod decide;
pub mod queue;

/// A control.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    /// Moves a tap.
    Regulator(Regulator),
    /// Switches a capacitor.
    Capacitor(CapacitorControl),
}

impl Control {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Control::Regulator(of) => &of.name,
            Control::Capacitor(of) => &of.name,
        }
    }

    /// False if it is off.
    pub fn in_service(&self) -> bool {
        match self {
            Control::Regulator(of) => of.in_service,
            Control::Capacitor(of) => of.in_service,
        }
    }

    /// Switches it off.
    pub fn switch_off(&mut self) {
        match self {
            Control::Regulator(of) => of.in_service = false,
            Control::Capacitor(of) => of.in_service = false,
        }
    }
}

/// A voltage regulator with line-drop compensation.
#[derive(Clone, Debug, PartialEq)]
pub struct Regulator {
    /// Its name.
    pub name: String,
    /// The transformer, by its position among the elements.
    pub element: usize,
    /// The winding (from 0) whose voltage and current it sees.
    pub winding: usize,
    /// The winding whose tap it moves.
    pub tap_winding: usize,
    /// The phase (from 0) of its voltage transformer.
    pub phase: usize,
    /// The node it sees instead of the winding, where it regulates another bus, and the ratio of
    /// the voltage transformer there; there is no line-drop compensation then.
    pub remote: Option<(usize, f64)>,
    /// The voltage it holds, in volts behind the voltage transformer.
    pub set_volt: f64,
    /// The whole width of its band in volts.
    pub band_volt: f64,
    /// Ratio of the voltage transformer.
    pub pt_ratio: f64,
    /// Primary rating of the current transformer in amperes.
    pub ct_primary_ampere: f64,
    /// Resistance of the compensator in volts at rated current.
    pub r_volt: f64,
    /// Reactance of the compensator in volts at rated current.
    pub x_volt: f64,
    /// The delay before it moves, in seconds.
    pub delay_s: f64,
    /// Most steps of a move.
    pub steps_max: u32,
    /// False if it is off.
    pub in_service: bool,
}

/// A switch of a capacitor bank.
#[derive(Clone, Debug, PartialEq)]
pub struct CapacitorControl {
    /// Its name.
    pub name: String,
    /// The capacitor, by its position among the elements.
    pub capacitor: usize,
    /// The element it watches.
    pub element: usize,
    /// The terminal (from 0) of that element.
    pub terminal: usize,
    /// What it watches there.
    pub watches: Watches,
    /// Where it closes: volts, amperes or kvar as it sees them.
    pub on: f64,
    /// Where it opens.
    pub off: f64,
    /// Ratio of the voltage transformer.
    pub pt_ratio: f64,
    /// Ratio of the current transformer.
    pub ct_ratio: f64,
    /// The conductor (from 0) of the voltage transformer.
    pub pt_phase: usize,
    /// The conductor of the current transformer.
    pub ct_phase: usize,
    /// Least and greatest voltage that go before what it watches, in volts behind the transformer.
    pub volt_override: Option<(f64, f64)>,
    /// The delay before it closes, in seconds.
    pub delay_on_s: f64,
    /// The delay before it opens, in seconds.
    pub delay_off_s: f64,
    /// How long after it opened it may not close, in seconds.
    pub dead_time_s: f64,
    /// False if it is off.
    pub in_service: bool,
}

/// What a capacitor's switch watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watches {
    /// Voltage to ground.
    Voltage,
    /// Current magnitude.
    Current,
    /// Reactive power of all conductors into the element.
    Kvar,
    /// The clock: in a power flow of one instant nothing happens.
    Time,
}
