//! What the build was made for, and what this processor could do besides.

/// Whether the build may use a feature, and whether the processor has it.
macro_rules! features {
    ($($name:tt),*) => {
        [$((
            $name,
            cfg!(target_feature = $name),
            #[cfg(target_arch = "x86_64")]
            std::arch::is_x86_feature_detected!($name),
            #[cfg(not(target_arch = "x86_64"))]
            false,
        )),*]
    };
}

fn features() -> [(&'static str, bool, bool); 3] {
    features!("avx2", "fma", "avx512f")
}

/// The vector features that the build may use.
pub fn built_for() -> String {
    let used: Vec<&str> =
        features().into_iter().filter(|(_, built, _)| *built).map(|(name, ..)| name).collect();
    match used.is_empty() {
        true => format!("plain {}", std::env::consts::ARCH),
        false => format!("{} with {}", std::env::consts::ARCH, used.join(", ")),
    }
}

/// What to say loudly where the processor could do more than the build may use.
pub fn missing() -> Option<String> {
    let idle: Vec<&str> = features()
        .into_iter()
        .filter(|(_, built, has)| *has && !built)
        .map(|(name, ..)| name)
        .collect();
    (!idle.is_empty()).then(|| {
        format!(
            "NOT BUILT FOR THIS PROCESSOR: it has {}; set RUSTFLAGS=\"-C target-cpu=native\"",
            idle.join(", ")
        )
    })
}
