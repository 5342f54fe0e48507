package dev.weir.simulation.experiment;

import java.util.List;
import java.util.Locale;

/** Figures in running text. */
final class Texts {
  private Texts() {}

  /** A whole number with thousands separators. */
  static String count(long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }

  /** A number with so many decimals and thousands separators; a dash if there is none. */
  static String number(double value, int decimals) {
    return Double.isFinite(value) ? String.format(Locale.ROOT, "%,." + decimals + "f", value) : "-";
  }

  /** A duration in seconds, or in milliseconds if it is short. */
  static String seconds(double seconds) {
    return seconds < 1 ? number(seconds * 1e3, 0) + " ms" : number(seconds, 1) + " s";
  }

  /** A share of 1 as per cent. */
  static String percent(double share) {
    return number(share * 100, 1) + " %";
  }

  /** Lower case, with hyphens for what is no letter or digit. */
  static String id(String name) {
    return name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
  }

  /** The smallest and the largest of some shares. */
  static String range(List<Double> shares) {
    double low = shares.stream().mapToDouble(Double::doubleValue).min().orElse(Double.NaN);
    double high = shares.stream().mapToDouble(Double::doubleValue).max().orElse(Double.NaN);
    return percent(low) + " to " + percent(high);
  }
}
