package dev.weir.scheduling.policy;

import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import java.util.List;

/**
 * Whose rules a baseline follows where Microsoft's simulator Vidur and a careful engine differ. The
 * option {@code semantics} of the baselines, {@code weir} (the default) or {@code vidur}; the
 * latter is for reproducing published Vidur results and knows eviction by recompute only.
 */
enum Semantics {
  WEIR,
  VIDUR;

  static final String OPTION = "semantics";

  static Semantics of(String policy, SchedulerConfig config) {
    Semantics semantics =
        config.options().getChoice(OPTION, List.of("weir", "vidur")).equals("vidur") ? VIDUR : WEIR;
    if (semantics == VIDUR && config.preemption() != Preemption.RECOMPUTE) {
      throw new IllegalArgumentException(
          "scheduler '"
              + policy
              + "' with semantics=vidur evicts by recompute only, preemption is "
              + config.preemption()
              + "; use recompute or semantics=weir");
    }
    return semantics;
  }
}
