package dev.weir.simulation.experiment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.KvCapacity;
import dev.weir.simulation.ArrivalProcess;
import dev.weir.simulation.LengthDistribution;
import dev.weir.simulation.ProfileIterationTime;
import dev.weir.simulation.SimulatedIteration;
import dev.weir.simulation.SimulatedRequest;
import dev.weir.simulation.Simulation;
import dev.weir.simulation.SimulationListener;
import dev.weir.simulation.SimulationListeners;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class OverflowJudgeTest {
  private static final KvCapacity MEMORY = new KvCapacity(300, 16, 0);
  private static final RequestLengths LENGTHS =
      RequestLengths.drawn(
          "uniform",
          2000,
          LengthDistribution.parse("uniform:10-60"),
          LengthDistribution.parse("uniform:1-150"),
          row -> true);

  private static OverflowJudge judge;
  private static Replay replay;

  /**
   * Judges in another way: notes who is resident when somebody is admitted, and counts blocks step
   * by step until all of them have ended.
   */
  private static final class Replay implements SimulationListener {
    private final List<SimulatedRequest> arrived = new ArrayList<>();
    private final List<SimulatedRequest> admitted = new ArrayList<>();
    private final List<Boolean> overflows = new ArrayList<>();

    @Override
    public void arrived(SimulatedRequest request) {
      arrived.add(request);
    }

    @Override
    public void predicted(SimulatedRequest request, double overflowProbability) {
      admitted.add(request);
    }

    @Override
    public void iterated(SimulatedIteration iteration) {
      for (int i = 0; i < admitted.size(); i++) {
        List<SimulatedRequest> later = admitted.subList(i + 1, admitted.size());
        overflows.add(
            overflows(
                arrived.stream()
                    .filter(request -> Double.isNaN(request.completedAt()))
                    .filter(SimulatedRequest::resident)
                    .filter(request -> !later.contains(request))
                    .toList()));
      }
      admitted.clear();
    }

    private static boolean overflows(List<SimulatedRequest> residents) {
      boolean anyone = true;
      for (int step = 0; anyone; step++) {
        anyone = false;
        long blocks = 0;
        for (SimulatedRequest request : residents) {
          int generated = request.generatedTokens() + step;
          if (generated < request.arrival().outputTokens()) {
            anyone = true;
            blocks += (long) Math.ceil((request.arrival().promptTokens() + generated) / 16.0);
          }
        }
        if (blocks > MEMORY.blocks()) {
          return true;
        }
      }
      return false;
    }
  }

  @BeforeAll
  static void serve() {
    ServingSetup setup =
        new ServingSetup(
            LENGTHS, MEMORY, new BatchLimits(128, 512), ProfileIterationTime.a100Llama2());
    double rate = 1.2 * setup.region().sustainableRate();
    judge = new OverflowJudge(MEMORY, 5);
    replay = new Replay();
    Simulation.run(
        setup.simulation(Policy.of("headroom").with("z", "0.5"), rate),
        LENGTHS.draw(1500, new ArrivalProcess.Poisson(rate), 1).arrivals().iterator(),
        SimulationListeners.both(judge, replay));
  }

  @Test
  void agreesWithEveryStepCounted() {
    assertThat(judge.judgements()).hasSizeGreaterThanOrEqualTo(1500);
    assertThat(judge.judgements())
        .extracting(OverflowJudge.Judgement::overflow)
        .isEqualTo(replay.overflows)
        .contains(true, false);
  }

  @Test
  void keepsTheResidentsOfEveryFifth() {
    assertThat(judge.samples()).hasSize((judge.judgements().size() + 4) / 5);
    assertThat(judge.samples())
        .allSatisfy(
            sample ->
                assertThat(sample.residents().peakBlocks(MEMORY) > MEMORY.blocks())
                    .isEqualTo(sample.judgement().overflow()));
  }

  /** Whoever knows the distribution of the lengths predicts what happens. */
  @Test
  void trueDistributionPredictsTheRealisedShare() {
    SampledForecast forecast = new SampledForecast(LENGTHS, 100);
    SplittableRandom random = new SplittableRandom(2);
    double predicted = 0;
    double worst = 0;
    int realised = 0;
    for (OverflowJudge.Sample sample : judge.samples()) {
      SampledForecast.Overflow overflow = forecast.overflow(MEMORY, sample.residents(), random);
      assertThat(overflow.worstIteration()).isLessThanOrEqualTo(overflow.anyIteration());
      predicted += overflow.anyIteration();
      worst += overflow.worstIteration();
      realised += sample.judgement().overflow() ? 1 : 0;
    }
    int count = judge.samples().size();
    assertThat(predicted / count).isEqualTo(realised / (double) count, within(0.08));
    assertThat(worst).isLessThan(predicted);
  }
}
