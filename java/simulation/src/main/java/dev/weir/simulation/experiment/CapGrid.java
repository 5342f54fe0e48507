package dev.weir.simulation.experiment;

import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.metrics.Metrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Tunes the cap of {@code capped-fcfs} for several cases at the same time. */
final class CapGrid {
  private static final double STEP = Math.sqrt(2);
  private static final double FIRST = 4;

  private CapGrid() {}

  private record Trial(int at, int cap) {}

  /** The cases with the cap that has the highest throughput in overload, and who takes part. */
  static List<StabilityCase> tune(
      ExperimentContext context, List<StabilityCase> cases, double overload) {
    List<Trial> trials = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      int most = cases.get(i).setup().limits().maxSequences();
      for (double cap = FIRST; cap < most * STEP; cap *= STEP) {
        trials.add(new Trial(i, (int) Math.min(most, Math.round(cap))));
      }
    }
    context.plan(trials.size());
    List<Double> throughput =
        context.map(
            trials,
            trial -> {
              StabilityCase at = cases.get(trial.at());
              Policy policy =
                  new Policy(
                      Contenders.CAPPED_FCFS,
                      Contenders.CAPPED_FCFS,
                      Map.of("cap", Integer.toString(trial.cap())),
                      Policy.Knowledge.LIMIT);
              Metrics metrics =
                  at.loads()
                      .getFirst()
                      .serve(
                          context,
                          at.setup(),
                          policy,
                          overload * at.fluidRate(),
                          Optional.empty(),
                          new SimulationListener() {});
              return metrics.windowOutputTokensPerSecond();
            });
    List<StabilityCase> tuned = new ArrayList<>();
    for (int i = 0; i < cases.size(); i++) {
      int best = -1;
      for (int j = 0; j < trials.size(); j++) {
        if (trials.get(j).at() == i && (best < 0 || throughput.get(j) > throughput.get(best))) {
          best = j;
        }
      }
      StabilityCase at = cases.get(i);
      int cap = trials.get(best).cap();
      tuned.add(
          new StabilityCase(
              at.setup(), at.region(), at.loads(), Contenders.of(at.setup(), cap), cap));
    }
    return tuned;
  }
}
