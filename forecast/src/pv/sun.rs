//! Where the sun stands, and what it would give through a clear sky.

/// The sine of the sun's elevation at an instant (UTC, milliseconds since the epoch) and a place
/// (degrees, north and east positive), and the hour angle in radians, 0 at solar noon.
///
/// Declination and equation of time by Spencer (1971), within 0.01 rad.
pub fn sun(at_ms: i64, (latitude, longitude): (f64, f64)) -> (f64, f64) {
    let days = at_ms as f64 / 86_400_000.0;
    // The epoch began a year; 365.2422 days later its phase is the same.
    let g = std::f64::consts::TAU * (days / 365.242_2).fract();
    let declination = 0.006_918 - 0.399_912 * g.cos() + 0.070_257 * g.sin()
        - 0.006_758 * (2.0 * g).cos()
        + 0.000_907 * (2.0 * g).sin();
    let equation = 0.000_075 + 0.001_868 * g.cos()
        - 0.032_077 * g.sin()
        - 0.014_615 * (2.0 * g).cos()
        - 0.040_849 * (2.0 * g).sin();
    let clock = std::f64::consts::TAU * (days.rem_euclid(1.0) - 0.5);
    let turn = clock + equation + longitude.to_radians();
    let angle = turn.sin().atan2(turn.cos());
    let latitude = latitude.to_radians();
    let sine =
        latitude.sin() * declination.sin() + latitude.cos() * declination.cos() * angle.cos();
    (sine, angle)
}

/// Global horizontal irradiance under a clear sky in kW/m², by the sine of the elevation
/// (Haurwitz 1945); 0 by night.
pub fn clear_kw_m2(sine: f64) -> f64 {
    if sine <= 0.0 { 0.0 } else { 1.098 * sine * (-0.057 / sine).exp() }
}
