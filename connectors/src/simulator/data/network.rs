//! The rows of the bundled network as a network of the grid room.

use std::collections::BTreeMap;

use grid::BusIndex;
use grid::Network;
use grid::model::siemens_from_nf;
use grid::network::Branch;
use grid::network::BranchClass;
use grid::network::BranchIndex;
use grid::network::Bus;
use grid::network::Connection;
use grid::network::Control;
use grid::network::Injection;
use grid::network::InjectionClass;
use grid::network::Line;
use grid::network::Parameters;
use grid::network::Side;
use grid::network::Switch;
use grid::network::Transformer;
use grid::network::Zip;

use crate::simulator::PlantError;
use crate::simulator::data::bus_of;
use crate::simulator::data::rows::BranchRow;
use crate::simulator::data::rows::BusRow;
use crate::simulator::data::rows::TransformerRow;

/// Nominal frequency of the bundled network in Hz.
const FREQUENCY_HZ: f64 = 50.0;

/// Power base: of the size of a village.
const BASE_MVA: f64 = 1.0;

/// Buses by their identifiers.
type BusAt<'a> = BTreeMap<&'a str, BusIndex>;

/// Buses and cables as in the files, then the transformer; an injection a bus, then the source at
/// the transformer's high-voltage side, at one per unit.
pub(super) fn network(
    buses: &[BusRow],
    branches: &[BranchRow],
    transformer: &TransformerRow,
    bus_at: &BusAt<'_>,
) -> Result<Network, PlantError> {
    let mut of: Vec<Branch> =
        branches.iter().map(|b| cable(b, bus_at)).collect::<Result<_, _>>()?;
    of.push(transformer_branch(transformer, bus_at)?);
    let at_bus = |b: usize| injection(format!("injection-{}", buses[b].bus_id), BusIndex(b));
    let mut injections: Vec<Injection> = (0..buses.len()).map(at_bus).collect();
    injections.push(Injection {
        class: InjectionClass::Source,
        control: Control::Slack { vm_pu: 1.0, va_deg: 0.0, impedance_pu: None },
        ..injection("source".to_owned(), bus_of(bus_at, "transformers", &transformer.hv_bus_id)?)
    });
    Ok(Network {
        name: "village".to_owned(),
        frequency_hz: FREQUENCY_HZ,
        base_mva: BASE_MVA,
        buses: buses.iter().map(bus).collect(),
        branches: of,
        injections,
        ..Network::default()
    })
}

/// Switches at the near ends of the cables that leave the head's busbar, then of each home's
/// connection.
pub(super) fn switches(network: &Network, head: BusIndex, homes: &[BusIndex]) -> Vec<Switch> {
    let cables = || {
        let numbered = network.branches.iter().enumerate();
        numbered.filter(|(_, branch)| branch.class == BranchClass::Line)
    };
    let outgoing = cables().filter(|(_, branch)| branch.from == head);
    let connections = homes.iter().filter_map(|&bus| cables().find(|(_, b)| b.to == bus));
    let switch = |(number, branch): (usize, &Branch)| Switch {
        id: format!("switch-{}", branch.id),
        name: String::new(),
        connection: Connection::BranchEnd(BranchIndex(number), Side::From),
        closed: true,
    };
    outgoing.chain(connections).map(switch).collect()
}

fn bus(row: &BusRow) -> Bus {
    Bus {
        id: row.bus_id.clone(),
        name: String::new(),
        nominal_kv: row.nominal_kv,
        in_service: true,
    }
}

fn cable(row: &BranchRow, bus_at: &BusAt<'_>) -> Result<Branch, PlantError> {
    let line = Line {
        r_ohm: row.r_ohm_per_km * row.length_km,
        x_ohm: row.x_ohm_per_km * row.length_km,
        g_siemens: 0.0,
        b_siemens: siemens_from_nf(row.c_nf_per_km * row.length_km, FREQUENCY_HZ),
        rated_ka: Some(row.rated_a / 1e3),
    };
    Ok(Branch {
        id: row.branch_id.clone(),
        name: String::new(),
        from: bus_of(bus_at, "branches", &row.from_bus_id)?,
        to: bus_of(bus_at, "branches", &row.to_bus_id)?,
        class: BranchClass::Line,
        parameters: Parameters::Line(line),
        in_service: true,
    })
}

fn transformer_branch(row: &TransformerRow, bus_at: &BusAt<'_>) -> Result<Branch, PlantError> {
    let sheet = Transformer {
        rated_mva: row.rated_kva / 1e3,
        from_kv: row.hv_kv,
        to_kv: row.lv_kv,
        vk_percent: row.vk_percent,
        vkr_percent: row.vkr_percent,
        pfe_kw: row.pfe_kw,
        i0_percent: row.i0_percent,
        shift_deg: row.shift_deg,
        parallel: 1,
        ..Transformer::default()
    };
    Ok(Branch {
        id: row.transformer_id.clone(),
        name: String::new(),
        from: bus_of(bus_at, "transformers", &row.hv_bus_id)?,
        to: bus_of(bus_at, "transformers", &row.lv_bus_id)?,
        class: BranchClass::Transformer,
        parameters: Parameters::Transformer(Box::new(sheet)),
        in_service: true,
    })
}

fn injection(id: String, bus: BusIndex) -> Injection {
    Injection {
        id,
        name: String::new(),
        class: InjectionClass::Load,
        bus,
        control: Control::Power,
        p_mw: 0.0,
        q_mvar: 0.0,
        zip: Zip::POWER,
        q_limits_mvar: None,
        in_service: true,
    }
}
