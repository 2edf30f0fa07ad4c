//! Measuring points and measured values that cannot be what they say.

use super::Fault;
use super::Faults;
use super::above_zero;
use super::named;
use crate::measurement::Measurement;
use crate::measurement::Quantity;
use crate::measurement::Target;
use crate::network::Network;

/// The best instrument transformers have 0.1 percent (IEC 61869); a sigma of a value this much
/// smaller is a unit taken for another, and ruins every estimate.
const SIGMA_OF_VALUE_MIN: f64 = 1e-6;

/// The smallest sigma of a voltage per unit.
const SIGMA_OF_VOLTAGE_MIN: f64 = 1e-5;

/// A live voltage per unit.
const VOLTAGE_PU: (f64, f64) = (0.2, 2.0);

pub(super) fn check(network: &Network, found: &mut Faults) {
    for sensor in &network.sensors {
        let element = named("sensor", &sensor.id, &sensor.name);
        let value = sensor.value_pu;
        check_one(&element, sensor.quantity, sensor.target, value, sensor.sigma_pu, found);
    }
}

/// Everything that looks wrong with measured values before anything is estimated: standard
/// deviations that are none, voltages that are kilovolts, quantities where there are none.
///
/// Values on elements that are not there are fatal, as is a standard deviation that is not above
/// zero.
pub fn check_measurements(network: &Network, measurements: &[Measurement]) -> Vec<Fault> {
    let mut found = Faults::default();
    for one in measurements {
        let element = named("measurement", &one.id, "");
        let (_, number, there) = one.target.place(network);
        if number >= there {
            found.fatal(&element, "is of an element that is not there".to_owned(), "");
        } else if !above_zero(one.sigma) || !one.value.is_finite() {
            let problem = format!("is {} with a standard deviation of {}", one.value, one.sigma);
            found.fatal(&element, problem, "a standard deviation is above zero");
        } else {
            let value = Some(one.value);
            check_one(&element, one.quantity, one.target, value, one.sigma, &mut found);
        }
    }
    found.0.sort_by_key(|fault| fault.severity);
    found.0
}

fn check_one(
    element: &str,
    quantity: Quantity,
    target: Target,
    value: Option<f64>,
    sigma: f64,
    found: &mut Faults,
) {
    let at_bus = matches!(target, Target::Bus(_));
    let at_branch = matches!(target, Target::BranchEnd(..));
    let fits = match quantity {
        Quantity::VoltageMagnitude | Quantity::VoltageAngle => at_bus,
        Quantity::CurrentMagnitude | Quantity::CurrentAngle => at_branch,
        Quantity::ActivePower | Quantity::ReactivePower => true,
    };
    if !fits {
        let problem = format!("measures {} where there is none", words(quantity));
        found.warn(element, problem, "voltages are at buses, currents at ends of branches");
    }
    if !above_zero(sigma) {
        let problem = format!("has a standard deviation of {sigma}");
        found.warn(element, problem, "it must be above zero; 1 percent of the range is usual");
        return;
    }
    let voltage = quantity == Quantity::VoltageMagnitude;
    let least = match value {
        _ if voltage => SIGMA_OF_VOLTAGE_MIN,
        Some(value) => value.abs() * SIGMA_OF_VALUE_MIN,
        None => 0.0,
    };
    if sigma < least {
        let problem = format!("has a standard deviation of {sigma:.1e} pu of {}", words(quantity));
        let hint = "no instrument is that good: a percentage or another unit taken for per unit?";
        found.warn(element, problem, hint);
    }
    let Some(value) = value.filter(|_| voltage) else { return };
    if value != 0.0 && (value < VOLTAGE_PU.0 || value > VOLTAGE_PU.1) {
        let problem = format!("is a voltage of {value:.4} pu");
        found.warn(element, problem, "kV taken for per unit, or a phase voltage for line to line?");
    }
}

fn words(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::VoltageMagnitude => "a voltage",
        Quantity::VoltageAngle => "the angle of a voltage",
        Quantity::ActivePower => "active power",
        Quantity::ReactivePower => "reactive power",
        Quantity::CurrentMagnitude => "a current",
        Quantity::CurrentAngle => "the angle of a current",
    }
}
