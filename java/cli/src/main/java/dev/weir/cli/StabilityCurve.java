package dev.weir.cli;

import dev.weir.cli.report.StabilityChart;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.IterationTime;
import dev.weir.simulation.capacity.LengthMoments;
import dev.weir.simulation.capacity.StableRegion;
import java.util.ArrayList;
import java.util.List;

/** Computes {@code mu} for longer and shorter outputs. */
final class StabilityCurve {
  private static final int POINTS = 41;
  private static final double SHORTEST = 0.1;
  private static final double LONGEST = 3;

  private StabilityCurve() {}

  static StabilityChart of(
      IterationTime time,
      LengthMoments lengths,
      KvCapacity memory,
      BatchLimits limits,
      List<StabilityChart.Load> loads) {
    List<Double> outputs = new ArrayList<>();
    List<Double> rates = new ArrayList<>();
    for (int i = 0; i < POINTS; i++) {
      double factor = SHORTEST * Math.pow(LONGEST / SHORTEST, i / (POINTS - 1.0));
      LengthMoments scaled = lengths.withOutputsTimes(factor);
      if (scaled.output() >= 1) {
        outputs.add(scaled.output());
        rates.add(StableRegion.of(time, scaled, memory, limits).sustainableRate());
      }
    }
    return new StabilityChart(outputs, rates, loads);
  }
}
