package dev.weir.cli.plan;

import dev.weir.cli.report.Format;
import dev.weir.scheduling.fluid.FluidModel;
import dev.weir.simulation.capacity.StableRegion;
import java.util.Locale;
import java.util.OptionalDouble;

/** What the stable region means for the one who asks, in one sentence. */
public final class Advice {
  /** Below this share of the largest rate a load has no room for bursts worth the name. */
  private static final double NARROW = 0.1;

  private Advice() {}

  /**
   * @param rate requests a second asked for; empty if none was named
   */
  public static String of(StableRegion region, OptionalDouble rate) {
    double most = region.sustainableRate();
    if (rate.isEmpty()) {
      return String.format(
          Locale.ROOT, "Serves %s requests/s at most, bound by %s.", rate(most), region.bound());
    }
    double asked = rate.getAsDouble();
    if (!region.at(asked).isStable()) {
      return unstable(region, asked, most);
    }
    double spare = 1 - asked / most;
    return String.format(
        Locale.ROOT,
        spare < NARROW
            ? "Serves %s requests/s at most; you ask for %s: stable, but with only %.0f %% to spare,"
                + " too little for bursts."
            : "Serves %s requests/s at most; you ask for %s: stable with %.0f %% to spare.",
        rate(most),
        rate(asked),
        Math.floor(spare * 100));
  }

  private static String unstable(StableRegion region, double asked, double most) {
    FluidModel model = region.at(asked);
    String others =
        String.format(
            Locale.ROOT,
            "%,.0f replicas, or at most %s requests/s",
            Math.ceil(asked / most),
            rate(most));
    String head = String.format(Locale.ROOT, "Unstable at %s requests/s: ", rate(asked));
    if (model.load() >= 1) {
      return head
          + String.format(
              Locale.ROOT,
              "the tokens alone take %.2g times the time there is, so no memory is enough; needs"
                  + " %s.",
              model.load(),
              others);
    }
    double needed = model.residentTokens();
    return head
        + switch (region.bound()) {
          case KV_MEMORY ->
              String.format(
                  Locale.ROOT,
                  "needs %.1f x the KV memory%s, or %s.",
                  roundedUp(needed / region.memory().tokens()),
                  region.requests(needed) > region.limits().maxSequences()
                      ? String.format(
                          Locale.ROOT,
                          " with --max-sequences %.0f",
                          Math.ceil(region.requests(needed)))
                      : "",
                  others);
          case SEQUENCES ->
              String.format(
                  Locale.ROOT,
                  "needs --max-sequences %.0f instead of %d%s, or %s.",
                  Math.ceil(region.requests(needed)),
                  region.limits().maxSequences(),
                  needed > region.memory().tokens()
                      ? String.format(
                          Locale.ROOT,
                          " with %.1f x the KV memory",
                          roundedUp(needed / region.memory().tokens()))
                      : "",
                  others);
          case TOKEN_BUDGET ->
              String.format(
                  Locale.ROOT,
                  "needs --max-batch-tokens %.0f instead of %d, or %s.",
                  Math.ceil(
                      needed
                          / region.lengths().work()
                          * (region.lengths().prompt() + region.lengths().output())),
                  region.limits().maxTokens(),
                  others);
        };
  }

  /** To one decimal: 1.04 times is not enough if 1.0 times is what is there. */
  private static double roundedUp(double factor) {
    return Math.ceil(factor * 10) / 10;
  }

  private static String rate(double requestsPerSecond) {
    return Format.significant(requestsPerSecond);
  }
}
