package dev.weir.simulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;

import com.sun.management.ThreadMXBean;
import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationCost;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerOptions;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

class SimulationTest {
  /** Everything that a simulation tells, as text. */
  private static final class Log implements SimulationListener {
    final List<String> lines = new ArrayList<>();
    final List<SimulatedRequest> requests = new ArrayList<>();
    long generated;
    double gaps;

    @Override
    public void arrived(SimulatedRequest request) {
      requests.add(request);
      lines.add("arrived " + request.index());
    }

    @Override
    public void refused(long index, Arrival arrival, String reason) {
      lines.add("refused " + index + ": " + reason);
    }

    @Override
    public void held(SimulatedRequest request, HoldReason reason) {
      lines.add("held " + request.index() + " " + reason);
    }

    @Override
    public void iterated(SimulatedIteration i) {
      lines.add(
          "iteration %d %.3f-%.3f prefill %d decode %d blocks %d alive %d evictions %d"
              .formatted(
                  i.index(),
                  i.start(),
                  i.end(),
                  i.batch().prefillTokens(),
                  i.batch().decodes(),
                  i.usedBlocks(),
                  i.alive(),
                  i.evictions()));
    }

    @Override
    public void generated(SimulatedRequest request, double gap) {
      generated++;
      gaps += gap;
    }

    @Override
    public void completed(SimulatedRequest request) {
      lines.add("completed " + request.index());
    }
  }

  private static SimulationOptions options(
      String scheduler, KvCapacity memory, Preemption preemption, Map<String, String> settings) {
    IterationCost cost = new IterationCost(1, 0.01);
    SimulationSemantics semantics =
        settings.containsKey("semantics") ? SimulationSemantics.VIDUR : SimulationSemantics.WEIR;
    return new SimulationOptions(
        scheduler,
        new SchedulerConfig(
            memory,
            new BatchLimits(8, 64),
            preemption,
            cost,
            Optional.empty(),
            SchedulerOptions.of(settings)),
        new LinearIterationTime(cost),
        semantics,
        OptionalInt.empty());
  }

  private static SimulationOptions fcfs(long blocks) {
    return options("fcfs", new KvCapacity(blocks, 4, 0), Preemption.RECOMPUTE, Map.of());
  }

  private static SimulationResult run(SimulationOptions options, Log log, Arrival... arrivals) {
    return Simulation.run(options, List.of(arrivals).iterator(), log);
  }

  @Test
  void timesAreThoseOfAHandComputation() {
    Log log = new Log();
    SimulationResult result =
        run(fcfs(100), log, new Arrival(0.5, 10, 2), new Arrival(1, 20, 1), new Arrival(9, 5, 1));
    // 1 s and 10 ms a token in the cache: 10; 11 and 20; then idle until 9; 5.
    assertThat(log.lines)
        .containsExactly(
            "arrived 0",
            "iteration 0 0.500-1.600 prefill 10 decode 0 blocks 3 alive 1 evictions 0",
            "arrived 1",
            "iteration 1 1.600-2.910 prefill 20 decode 1 blocks 8 alive 2 evictions 0",
            "completed 0",
            "completed 1",
            "arrived 2",
            "iteration 2 9.000-10.050 prefill 5 decode 0 blocks 2 alive 1 evictions 0",
            "completed 2");
    SimulatedRequest first = log.requests.getFirst();
    assertThat(first.scheduledAt()).isEqualTo(0.5);
    assertThat(first.prefillCompletedAt()).isCloseTo(1.6, offset(1e-12));
    assertThat(first.firstTokenAt()).isCloseTo(1.6, offset(1e-12));
    assertThat(first.completedAt()).isCloseTo(2.91, offset(1e-12));
    assertThat(first.executionTime()).isCloseTo(2.41, offset(1e-12));
    assertThat(first.preemptedTime()).isZero();
    assertThat(log.generated).isEqualTo(4);
    // 1.1 and 1.31 of the first, 1.91 of the second, 1.05 of the third.
    assertThat(log.gaps).isCloseTo(5.37, offset(1e-12));
    assertThat(result.arrived()).isEqualTo(3);
    assertThat(result.iterations()).isEqualTo(3);
    assertThat(result.firstArrival()).isEqualTo(0.5);
    assertThat(result.lastArrival()).isEqualTo(9);
    assertThat(result.end()).isCloseTo(10.05, offset(1e-12));
    assertThat(result.busySeconds()).isCloseTo(3.46, offset(1e-12));
  }

  @Test
  void anEvictedRequestPrefillsItsTokensAgainAndItsPauseIsCounted() {
    // Four blocks of four. After two iterations each has 8 of its tokens there; the first takes
    // the blocks of the second for its third iteration and its last.
    Log log = new Log();
    SimulationResult result = run(fcfs(4), log, new Arrival(0, 7, 4), new Arrival(0, 7, 3));
    assertThat(log.lines)
        .containsExactly(
            "arrived 0",
            "arrived 1",
            "iteration 0 0.000-1.140 prefill 14 decode 0 blocks 4 alive 2 evictions 0",
            "iteration 1 1.140-2.300 prefill 0 decode 2 blocks 4 alive 2 evictions 0",
            "held 1 MEMORY",
            "iteration 2 2.300-3.390 prefill 0 decode 1 blocks 3 alive 2 evictions 1",
            "held 1 MEMORY",
            "iteration 3 3.390-4.490 prefill 0 decode 1 blocks 3 alive 2 evictions 0",
            "completed 0",
            "iteration 4 4.490-5.580 prefill 9 decode 0 blocks 3 alive 1 evictions 0",
            "completed 1");
    SimulatedRequest second = log.requests.get(1);
    assertThat(second.evictions()).isEqualTo(1);
    assertThat(second.recomputedTokens()).isEqualTo(8);
    assertThat(second.preemptedTime()).isCloseTo(2.19, offset(1e-12));
    assertThat(second.prefillCompletedAt()).isCloseTo(1.14, offset(1e-12));
    assertThat(result.evictions()).isEqualTo(1);
    assertThat(result.recomputedTokens()).isEqualTo(8);
  }

  @Test
  void vidurDecodesTheRestOfAPromptThatWasEvictedHalfWay() {
    // The case of SarathiSchedulerTest: 7 of 20 tokens were there, so 13 are computed one by one.
    Map<String, String> settings = Map.of("chunk", "10", "watermark", "0", "semantics", "vidur");
    Log log = new Log();
    SimulationOptions options =
        options("sarathi", new KvCapacity(6, 4, 0), Preemption.RECOMPUTE, settings);
    run(options, log, new Arrival(0, 3, 2), new Arrival(0, 20, 2));
    SimulatedRequest second = log.requests.get(1);
    assertThat(log.lines.get(2)).contains("prefill 10 decode 0");
    assertThat(log.lines.get(3)).contains("prefill 7 decode 1", "evictions 1");
    assertThat(log.lines.stream().filter(line -> line.contains("prefill 0 decode 1"))).hasSize(14);
    // Vidur takes the end of the part for the end of the prompt.
    assertThat(second.prefillCompletedAt()).isLessThan(second.firstTokenAt() - 10);
    assertThat(second.generatedTokens()).isEqualTo(2);
  }

  @Test
  void whatCanNeverFitIsRefusedAndNamed() {
    Log log = new Log();
    SimulationResult result = run(fcfs(4), log, new Arrival(0, 10, 8), new Arrival(1, 10, 7));
    assertThat(log.lines)
        .contains("refused 0: 10 prompt and 8 output tokens need 5 KV blocks, the pool has 4");
    assertThat(result.refused()).isEqualTo(1);
    assertThat(result.arrived()).isEqualTo(1);
    SimulationOptions fits = fcfs(4);
    SimulationOptions declared =
        new SimulationOptions(
            fits.scheduler(), fits.config(), fits.time(), fits.semantics(), OptionalInt.of(5));
    Log second = new Log();
    run(declared, second, new Arrival(0, 10, 6), new Arrival(1, 10, 5));
    assertThat(second.lines).contains("refused 0: outputTokens is 6, at most 5 declared");
    assertThat(second.lines).contains("completed 1");
  }

  @Test
  void aSchedulerThatForgetsARequestIsNamed() {
    // Vidur's watermark holds even for an empty pool.
    SimulationOptions options =
        options(
            "vllm-v0",
            new KvCapacity(10, 4, 0),
            Preemption.RECOMPUTE,
            Map.of("semantics", "vidur", "watermark", "0.5"));
    assertThatThrownBy(() -> run(options, new Log(), new Arrival(2, 24, 1)))
        .isInstanceOf(StalledException.class)
        .hasMessageContaining("'vllm-v0' schedules none of 1 requests at 2.0 s")
        .hasMessageContaining("held for MEMORY");
  }

  @Test
  void anEmptyWorkloadTakesNoTime() {
    SimulationResult result =
        Simulation.run(fcfs(4), Collections.emptyIterator(), new SimulationListener() {});
    assertThat(result.iterations()).isZero();
    assertThat(result.firstArrival()).isNaN();
  }

  @Provide
  Arbitrary<String> schedulers() {
    return Arbitraries.of("fcfs", "vllm-v0", "sarathi", "orca", "static", "nested-wait");
  }

  private static Iterator<Arrival> load(long seed, int count) {
    return new SyntheticArrivals(
        count,
        ArrivalProcess.parse("gamma:2,2"),
        LengthDistribution.parse("uniform:1-30"),
        LengthDistribution.parse("uniform:1-40"),
        new SplittableRandom(seed));
  }

  @Property(tries = 150, edgeCases = EdgeCasesMode.NONE)
  void everyRequestEndsOnceAndTheBooksBalance(
      @ForAll("schedulers") String scheduler, @ForAll Preemption preemption, @ForAll long seed) {
    KvCapacity memory = new KvCapacity(30, 4, preemption == Preemption.SWAP ? 20 : 0);
    SimulationOptions options = options(scheduler, memory, preemption, Map.of());
    Log log = new Log();
    SimulationResult result = Simulation.run(options, load(seed, 40), log);

    assertThat(result.arrived()).isEqualTo(40);
    assertThat(log.lines.stream().filter(line -> line.startsWith("completed")).distinct())
        .hasSize(40);
    long tokens = log.requests.stream().mapToLong(r -> r.arrival().outputTokens()).sum();
    assertThat(log.generated).isEqualTo(tokens);
    double latencies =
        log.requests.stream().mapToDouble(r -> r.completedAt() - r.arrival().seconds()).sum();
    assertThat(log.gaps).isCloseTo(latencies, offset(1e-6));
    assertThat(result.evictions())
        .isEqualTo(log.requests.stream().mapToLong(SimulatedRequest::evictions).sum());
    for (SimulatedRequest r : log.requests) {
      assertThat(r.scheduledAt()).isGreaterThanOrEqualTo(r.arrival().seconds());
      assertThat(r.executionTime() + r.preemptedTime())
          .isCloseTo(r.completedAt() - r.scheduledAt(), offset(1e-6));
      assertThat(r.firstTokenAt()).isBetween(r.prefillCompletedAt(), r.completedAt());
    }

    Log again = new Log();
    assertThat(Simulation.run(options, load(seed, 40), again)).isEqualTo(result);
    assertThat(again.lines).isEqualTo(log.lines);
  }

  @Test
  void anIterationAllocatesNothing() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    for (String scheduler : new String[] {"vllm-v0", "sarathi", "orca", "static", "fcfs"}) {
      SimulationOptions options =
          options(scheduler, new KvCapacity(100_000, 16, 0), Preemption.RECOMPUTE, Map.of());
      long[] allocated = new long[2];
      for (int round = 0; round < 2; round++) {
        // The first round is for the JIT; then ten times the iterations with as many requests.
        for (int length : new int[] {5_000, 50_000}) {
          Iterator<Arrival> eight = Collections.nCopies(8, new Arrival(0, 8, length)).iterator();
          long before = threads.getCurrentThreadAllocatedBytes();
          SimulationResult result = Simulation.run(options, eight, new SimulationListener() {});
          allocated[length == 5_000 ? 0 : 1] = threads.getCurrentThreadAllocatedBytes() - before;
          assertThat(result.iterations()).isGreaterThanOrEqualTo(length);
        }
      }
      assertThat(allocated[1] - allocated[0]).as(scheduler).isLessThan(45_000);
    }
  }
}
