//! Options: what `set`, or a word behind `solve`, says of how a circuit is solved.
//!
//! An option may be cut short as a command may. One that concerns OpenDSS's own screens, files,
//! studies over time or way of solving is passed over; one that changes the network or its answer
//! is done, or named. `controlmode=off` leaves every control in the network and takes it out of
//! service.

use grid::network::Severity;

use super::lexer::Value;
use super::lexer::Word;
use super::script::Script;
use super::script::means;

/// Options that are done here, or that change an answer and are named.
const MATTERS: &[&str] = &[
    "type",
    "element",
    "year",
    "frequency",
    "mode",
    "class",
    "object",
    "circuit",
    "loadmodel",
    "loadmult",
    "allowduplicates",
    "voltagebases",
    "controlmode",
    "genmult",
    "allocationfactors",
    "cktmodel",
    "basefrequency",
    "cfactors",
    "defaultbasefrequency",
    "earthmodel",
    "longlinecorrection",
];

/// Options of studies over time, the technique of solving, limits that are reported against, energy
/// meters, what is added or reduced on demand, screens and files.
const HARMLESS: &str = "\
    hour sec stepsize h random number time %mean %stddev ldcurve %growth trapezoidal defaultdaily \
    defaultyearly pricesignal pricecurve loadshapeclass harmonics neglectloady seasonrating \
    seasonsignal sampleenergymeters \
    tolerance maxiterations miniterations algorithm maxcontroliter numallociterations \
    ignoregenqlimits ncimqgain processtime totaltime steptime numcpus numcores numactors \
    activeactor cpu actorprogress parallel concatenatereports coverage num_subcircuits \
    normvminpu normvmaxpu emergvminpu emergvmaxpu %normal zonelock ueweight lossweight ueregs \
    lossregs genkw genpf capkvar addtype autobuslist keeplist reduceoption keepload zmag \
    demandinterval diverbose \
    editor terminal bus datapath casename log tracecontrol recorder overloadreport \
    voltexceptionreport showexport showreports querylog eventlogdefault registryupdate \
    dssvisualizationtool linetypes markercode nodewidth daisysize markswitches switchmarkercode \
    marktransformers transmarkercode transmarkersize markcapacitors capmarkercode capmarkersize \
    markregulators regmarkercode regmarkersize markpvsystems pvmarkercode pvmarkersize \
    markstorage storemarkercode storemarkersize markfuses fusemarkercode fusemarkersize \
    markreclosers reclosermarkercode reclosermarkersize markrelays relaymarkercode \
    relaymarkersize";

/// What is said of an option: how bad it is, and the words.
type Said = Result<(), (Severity, String)>;

impl Script {
    /// Does what options ask for; those behind `solve` come before it.
    pub(super) fn set_options(&mut self, words: &[Word]) {
        for word in words {
            let Some(name) = &word.name else { continue };
            let option = meant(name);
            if let Err((severity, problem)) = self.set_option(option, &word.value) {
                self.say(severity, "", format!("set {option}: {problem}"));
            }
        }
    }

    fn set_option(&mut self, option: &str, value: &Value) -> Said {
        let another = || Err((Severity::Fatal, "solves another problem".to_owned()));
        let wrong = |problem: String| (Severity::Warning, problem);
        let warning = |problem: &str| Err((Severity::Warning, problem.to_owned()));
        let note = |problem: &str| Err((Severity::Note, problem.to_owned()));
        match option {
            "defaultbasefrequency" | "basefrequency" | "frequency" => {
                self.base_hz = Some(value.number().map_err(wrong)?);
                Ok(())
            }
            "voltagebases" => {
                self.bases_kv = value.numbers().map_err(wrong)?;
                Ok(())
            }
            "loadmult" => {
                self.load_factor = Some(value.number().map_err(wrong)?);
                Ok(())
            }
            "controlmode" => self.set_control_mode(&value.lower()),
            // Loads as admittances.
            "mode" if value.lower().starts_with("di") => another(),
            "loadmodel" if value.lower().starts_with('a') => another(),
            "mode" if !value.lower().starts_with("snap") => {
                warning("only one instant is solved here")
            }
            "mode" | "loadmodel" => Ok(()),
            "genmult" | "year" | "longlinecorrection" => warning("is not understood here"),
            "cktmodel" if value.lower().starts_with('p') => another(),
            "cktmodel" => Ok(()),
            "class" | "type" | "object" | "element" => {
                Err((Severity::Fatal, "is not understood here; select is".to_owned()))
            }
            _ if HARMLESS.split_whitespace().any(|known| known == option) => Ok(()),
            _ => note("is not understood here and is passed over"),
        }
    }

    /// Static controls act until nothing moves, as ours do; those in time end there, too.
    fn set_control_mode(&mut self, mode: &str) -> Said {
        self.controls_off = mode.starts_with('o').then(|| self.place.clone());
        if mode.starts_with(['o', 's', 't']) {
            return Ok(());
        }
        Err((Severity::Note, format!("{mode} is taken as static: controls act until none moves")))
    }
}

/// The option that a name is, maybe cut short; the name itself where none is known.
fn meant(name: &str) -> &str {
    let known = || MATTERS.iter().copied().chain(HARMLESS.split_whitespace());
    let exact = known().find(|known| *known == name);
    exact.or_else(|| known().find(|known| means(name, known))).unwrap_or(name)
}
