package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Workload;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class WeirSchedulerTest {
  private static final BatchLimits LIMITS = new BatchLimits(8, 1000);

  private static Stepper stepper(
      String name, KvCapacity memory, Optional<Workload> workload, Map<String, String> options) {
    return Stepper.of(name, memory, LIMITS, Preemption.RECOMPUTE, workload, options);
  }

  private static Workload outputs(int... lengths) {
    return new Workload(1, LengthHistogram.of(5), LengthHistogram.of(lengths));
  }

  private static List<HoldReason> reasons(Stepper s) {
    return IntStream.range(0, s.plan.heldCount()).mapToObj(s.plan::holdReason).toList();
  }

  @Test
  void withNothingDeclaredEverybodyIsTakenToReachItsMaximum() {
    for (String name : List.of("weir", "headroom")) {
      Stepper s = stepper(name, new KvCapacity(100, 1, 0), Optional.empty(), Map.of());
      List<Request> requests = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        requests.add(s.arrive(5, 20));
      }
      s.plan();
      // Four of 5 + 20 tokens fill the pool.
      assertThat(s.scheduled()).containsExactlyElementsOf(requests.subList(0, 4));
      assertThat(reasons(s)).containsExactly(HoldReason.MEMORY_BUFFER);
      assertThat(s.plan.predictionCount()).isEqualTo(4);
      assertThat(s.plan.overflowProbability(3)).isLessThan(1e-9);
      s.plan.commit();
      for (int i = 0; i < 19; i++) {
        s.plan();
        assertThat(s.plan.evictionCount()).isZero();
        assertThat(s.plan.size()).isEqualTo(4);
        s.plan.commit();
      }
      assertThat(requests.getFirst().generatedTokens()).isEqualTo(20);
    }
  }

  @Test
  void admitsAsManyAsTheForecastAllows() {
    // Outputs of 1..40 tokens, 5 of prompt: a lone request never holds more than 45.
    KvCapacity memory = new KvCapacity(120, 1, 0);
    int[] lengths = IntStream.rangeClosed(1, 40).toArray();
    Map<String, String> options = new HashMap<>();
    List<Integer> admitted = new ArrayList<>();
    for (String z : List.of("4", "2", "0", "-2")) {
      options.put("z", z);
      Stepper s = stepper("headroom", memory, Optional.of(outputs(lengths)), options);
      for (int i = 0; i < 20; i++) {
        s.arrive(5, 40);
      }
      s.plan();
      admitted.add(s.plan.size());
      for (int i = 1; i < s.plan.size(); i++) {
        assertThat(s.plan.overflowProbability(i))
            .isGreaterThanOrEqualTo(s.plan.overflowProbability(i - 1));
      }
      double allowed = z.equals("2") ? 0.0228 : 1;
      assertThat(s.plan.overflowProbability(s.plan.size() - 1)).isLessThanOrEqualTo(allowed);
    }
    // The mean is largest after about 18 iterations: 23 tokens with probability 0.55, so 12.6 with
    // a deviation of 11.4 for each; 9 of them fit on average.
    assertThat(admitted).isSortedAccordingTo(Integer::compare);
    assertThat(admitted.get(2)).isEqualTo(8);
    assertThat(admitted.get(0)).isBetween(2, 4);
  }

  @Test
  void theYoungerYieldAndNobodyIsEvictedWhileAnybodyAdvances() {
    Map<String, String> greedy = Map.of("z", "-100", "growthReserve", "0");
    Stepper s = stepper("headroom", new KvCapacity(6, 4, 0), Optional.of(outputs(3)), greedy);
    Request first = s.arrive(8, 12);
    Request second = s.arrive(6, 12);
    s.run(1);
    // 2 blocks each; the first takes its third, the second has room for two more.
    s.run(2);
    assertThat(first.cachedTokens()).isEqualTo(10);
    assertThat(second.cachedTokens()).isEqualTo(8);
    s.run(4);
    // Both are at the end of their third block.
    assertThat(first.cachedTokens()).isEqualTo(12);
    assertThat(second.cachedTokens()).isEqualTo(12);
    assertThat(first.state()).isEqualTo(RequestState.RESIDENT);
    s.plan();
    assertThat(s.plan.evictionCount()).isEqualTo(1);
    assertThat(s.plan.evicted(0)).isSameAs(second);
    assertThat(s.scheduled()).containsExactly(first);
  }

  @Test
  void oneThatStallsKeepsItsBlocksAndIsInTheLog() {
    Map<String, String> greedy = Map.of("z", "-100", "growthReserve", "0");
    Stepper s = stepper("headroom", new KvCapacity(5, 4, 0), Optional.of(outputs(3)), greedy);
    Request first = s.arrive(8, 12);
    Request second = s.arrive(6, 12);
    s.run(3);
    // The first holds three blocks, the second is at the end of its second.
    Request third = s.arrive(1, 1);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first);
    assertThat(second.state()).isEqualTo(RequestState.RESIDENT);
    assertThat(s.plan.held(0)).isSameAs(second);
    assertThat(s.plan.held(1)).isSameAs(third);
    assertThat(reasons(s)).containsExactly(HoldReason.MEMORY, HoldReason.MEMORY);
    assertThat(s.gauges()).containsEntry("stalled", 1.0);
    s.plan.commit();
    s.end(first);
    s.plan();
    assertThat(s.scheduled()).containsExactly(second, third);
  }

  @Test
  void theYoungestLeavesTheReserveToTheOlder() {
    // Each takes a block in every iteration. With a reserve of the whole pool, the younger of two
    // must leave half of it free.
    Map<String, String> options = Map.of("z", "-100", "growthReserve", "1");
    Stepper s = stepper("headroom", new KvCapacity(40, 1, 0), Optional.of(outputs(3)), options);
    Request first = s.arrive(5, 30);
    Request second = s.arrive(5, 30);
    s.run(1);
    for (int free = 30; free > 20; free -= 2) {
      s.plan();
      assertThat(s.scheduled()).containsExactly(first, second);
      s.plan.commit();
    }
    s.plan();
    assertThat(s.scheduled()).containsExactly(first);
  }

  @Test
  void residentsWaitBeforeASegmentThatIsFull() {
    // C / W = 100 / (1 * 53 + (5008 + 52) / 2) = 0.0387 an iteration. Half go on after 4 tokens and
    // then live for 96 more: 48 stages, so the cap of segment 2 is 1.5 * 0.0387 * 48 = 2.8.
    Workload workload = new Workload(1, LengthHistogram.of(1), LengthHistogram.of(4, 100));
    Map<String, String> options =
        Map.of("z", "-100", "pace", "0", "few", "0", "segments", "2", "estimates", "frozen");
    Stepper s = stepper("weir", new KvCapacity(100, 1, 0), Optional.of(workload), options);
    for (int i = 0; i < 9; i++) {
      s.arrive(1, 99);
    }
    s.run(4);
    s.plan();
    assertThat(s.gauges().get("segment_capacity{segment=\"2\"}")).isCloseTo(2.8, within(0.1));
    assertThat(s.plan.size()).isEqualTo(3);
    assertThat(reasons(s)).containsExactly(HoldReason.SEGMENT_FULL, HoldReason.SEQUENCE_LIMIT);
    assertThat(s.plan.held(0).id()).as("in order of arrival").isEqualTo(3);
    assertThat(s.gauges()).containsEntry("paused", 5.0);
  }

  @Test
  void thePaceHoldsOnlyWhenMemoryIsScarce() {
    Workload workload = outputs(IntStream.rangeClosed(1, 100).toArray());
    Map<String, String> options =
        Map.of("z", "-100", "burst", "1", "few", "0", "prefillTile", "0", "estimates", "frozen");
    Stepper s = stepper("weir", new KvCapacity(400, 1, 0), Optional.of(workload), options);
    for (int i = 0; i < 8; i++) {
      s.arrive(5, 100);
    }
    s.plan();
    // About 26 tokens each are expected at the peak: from the eighth on it is more than 200.
    assertThat(s.plan.size()).isEqualTo(7);
    assertThat(reasons(s)).containsExactly(HoldReason.PACING);
    s.plan.commit();
    double pace = s.gauges().get("admissions_per_iteration");
    int iterations = (int) Math.ceil(1 / pace);
    for (int i = 1; i < iterations; i++) {
      s.plan();
      assertThat(reasons(s)).containsExactly(HoldReason.PACING);
      s.plan.commit();
    }
    s.plan();
    assertThat(s.plan.size()).isEqualTo(8);
  }

  @Test
  void tightMemoryLimitsPrefillToTiles() {
    Workload workload = new Workload(1, LengthHistogram.of(300), LengthHistogram.of(50, 100));
    Map<String, String> options =
        Map.of("z", "-100", "pace", "0", "prefillTile", "64", "estimates", "frozen");
    Stepper s = stepper("weir", new KvCapacity(800, 1, 0), Optional.of(workload), options);
    Request first = s.arrive(300, 100);
    Request second = s.arrive(300, 100);
    s.plan();
    assertThat(first.scheduledTokens() + second.scheduledTokens()).isEqualTo(600);
    s.plan.commit();
    // Two of 300 and their outputs come to more than 85 % of 800.
    Request third = s.arrive(100, 100);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first, second, third);
    assertThat(third.scheduledTokens()).isEqualTo(62);
  }

  @Test
  void inASmallPoolTheYoungestIsEvictedRatherThanManyStall() {
    Workload workload = new Workload(1, LengthHistogram.of(4), LengthHistogram.of(40));
    Map<String, String> options = Map.of("estimates", "frozen");
    Map<String, String> patient = Map.of("estimates", "frozen", "few", "0");
    KvCapacity memory = new KvCapacity(50, 4, 0);
    Stepper bold = stepper("weir", memory, Optional.of(workload), options);
    Stepper careful = stepper("weir", memory, Optional.of(workload), patient);
    int[] evictions = new int[2];
    int[] stalls = new int[2];
    for (int k = 0; k < 2; k++) {
      Stepper s = k == 0 ? bold : careful;
      // Longer than declared, so that the forecast is wrong and memory runs out.
      s.arrive(4, 190);
      s.arrive(5, 190);
      s.arrive(6, 190);
      for (int i = 0; i < 70; i++) {
        s.run(1);
        evictions[k] += s.plan.evictionCount();
        stalls[k] += s.gauges().get("stalled").intValue();
      }
    }
    assertThat(evictions[0]).isEqualTo(1);
    assertThat(stalls[0]).isLessThan(stalls[1]);
  }

  @Test
  void learnsThatOutputsAreLongerThanDeclared() {
    int frozen = stalls("frozen");
    int online = stalls("online");
    assertThat(frozen).isGreaterThan(1000);
    assertThat(online).isLessThan(frozen / 3);
  }

  /**
   * Iterations of residents that stalled, when outputs have 50 tokens instead of the declared 5.
   */
  private static int stalls(String estimates) {
    Map<String, String> options = Map.of("estimates", estimates, "pace", "0");
    Stepper s = stepper("headroom", new KvCapacity(200, 1, 0), Optional.of(outputs(5)), options);
    Deque<Request> alive = new ArrayDeque<>();
    int stalls = 0;
    for (int i = 0; i < 4000; i++) {
      while (alive.size() < 20) {
        alive.add(s.arrive(5, 60));
      }
      s.run(1);
      stalls += s.gauges().get("stalled").intValue();
      for (Request request : List.copyOf(alive)) {
        if (request.generatedTokens() == 50) {
          alive.remove(request);
          s.end(request);
        }
      }
    }
    return stalls;
  }

  @Test
  void reportsTheStabilityMargin() {
    Workload workload = new Workload(2, LengthHistogram.of(100), LengthHistogram.of(50));
    Stepper s =
        stepper(
            "weir",
            new KvCapacity(1000, 16, 0),
            Optional.of(workload),
            Map.of("estimates", "frozen"));
    // W = 107.5 * 51 + (2500 + 50) / 2 with half a block, C = 16,000, dT = 0.01 + 1e-6 C = 0.026 s.
    double mu = 16_000 / (6757.5 * 0.026);
    assertThat(s.gauges().get("sustainable_rate")).isCloseTo(mu, within(0.03 * mu));
    assertThat(s.gauges().get("stability_margin")).isCloseTo(1 - 2 / mu, within(0.01));
    assertThat(s.gauges().get("admissions_per_iteration"))
        .isCloseTo(1.2 * 16_000 / 6757.5, within(0.1));
  }

  @Test
  void learnsThatPromptsAreLongerThanBefore() {
    Stepper s = stepper("weir", new KvCapacity(5000, 1, 0), Optional.empty(), Map.of());
    double[] rates = new double[2];
    for (int k = 0; k < 2; k++) {
      // The outputs stay the same, so that nothing else moves.
      for (int i = 0; i < 4000; i++) {
        Request request = s.arrive(k == 0 ? 10 : 400, 2);
        s.run(2);
        s.end(request);
      }
      rates[k] = s.gauges().get("sustainable_rate");
    }
    // W is 3 times the mean prompt, which remembers 2,000, and (4 + 2) / 2.
    double prompt = 400 - 390 * Math.exp(-2);
    assertThat(rates[0] / rates[1]).isCloseTo((prompt + 1) / 11, within(5.0));
  }

  @Test
  void frozenEstimatesNeedADeclaration() {
    for (String name : List.of("weir", "headroom")) {
      assertThatIllegalArgumentException()
          .isThrownBy(
              () ->
                  stepper(
                      name,
                      new KvCapacity(10, 4, 0),
                      Optional.empty(),
                      Map.of("estimates", "frozen")))
          .withMessageContaining("estimates=frozen");
    }
  }

  @Test
  void swappedRequestsComeBackBeforeAnybodyEnters() {
    Map<String, String> greedy = Map.of("z", "-100", "growthReserve", "0");
    Stepper s =
        Stepper.of(
            "headroom",
            new KvCapacity(4, 4, 100),
            LIMITS,
            Preemption.SWAP,
            Optional.of(outputs(3)),
            greedy);
    Request first = s.arrive(8, 8);
    Request second = s.arrive(8, 8);
    Request third = s.arrive(1, 1);
    s.run(2);
    assertThat(second.state()).isEqualTo(RequestState.SWAPPED);
    s.end(first);
    s.plan();
    assertThat(s.plan.resumedCount()).isEqualTo(1);
    assertThat(s.scheduled()).containsExactly(second, third);
    assertThat(second.scheduledTokens()).isEqualTo(1);
  }

  @Test
  void frozenEstimatesKnowHowFarResidentsAre() {
    // One of ten has 100 tokens, the others 2: who has generated 10 is one of the long ones, and
    // needs 80 of 120 tokens soon.
    Workload workload = outputs(2, 2, 2, 2, 2, 2, 2, 2, 2, 100);
    int[] admitted = new int[2];
    for (int k = 0; k < 2; k++) {
      Stepper s =
          Stepper.of(
              "headroom",
              new KvCapacity(120, 1, 0),
              new BatchLimits(80, 5000),
              Preemption.RECOMPUTE,
              Optional.of(workload),
              Map.of("z", "0", "estimates", k == 0 ? "frozen" : "online"));
      s.arrive(1, 100);
      s.run(10);
      for (int i = 0; i < 60; i++) {
        s.arrive(1, 100);
      }
      s.plan();
      admitted[k] = s.plan.predictionCount();
    }
    assertThat(admitted[1]).isBetween(15, 30);
    assertThat(admitted[0]).isCloseTo(admitted[1], within(1));
  }

  @Test
  void asManyAsEnterAtATimeCanBeSavedUp() {
    // Short prompts: those that would fill a tile are more than a cohort, which is 10 and a bit.
    Workload workload = outputs(IntStream.rangeClosed(1, 60).toArray());
    Stepper s =
        Stepper.of(
            "weir",
            new KvCapacity(3000, 1, 0),
            new BatchLimits(1000, 2048),
            Preemption.RECOMPUTE,
            Optional.of(workload),
            Map.of("estimates", "frozen"));
    List<Request> alive = new ArrayList<>();
    Map<Request, Integer> lengths = new HashMap<>();
    int longestWait = 0;
    int wait = 0;
    for (int i = 0; i < 400; i++) {
      while (alive.size() < 300) {
        Request request = s.arrive(5, 60);
        lengths.put(request, 1 + lengths.size() * 37 % 60);
        alive.add(request);
      }
      s.plan();
      List<HoldReason> reasons = reasons(s);
      boolean paced = reasons.contains(HoldReason.THRESHOLD) || reasons.contains(HoldReason.PACING);
      wait = paced && s.plan.predictionCount() == 0 ? wait + 1 : 0;
      longestWait = Math.max(longestWait, wait);
      s.plan.commit();
      for (Request request : List.copyOf(alive)) {
        if (request.generatedTokens() == lengths.get(request)) {
          alive.remove(request);
          s.end(request);
        }
      }
    }
    // A cohort is an eighth of those that run, who stay for 30 iterations on average, and the pace
    // is 1.2 of that.
    assertThat(longestWait).isBetween(1, 4);
  }

  @Test
  void nobodyIsEvictedForWantOfBudget() {
    Stepper s =
        Stepper.of(
            "weir",
            new KvCapacity(14, 7, 0),
            new BatchLimits(16, 5),
            Preemption.RECOMPUTE,
            Optional.of(new Workload(1, LengthHistogram.of(2), LengthHistogram.of(2))),
            Map.of("estimates", "frozen"));
    for (int prompt : new int[] {6, 19, 3, 6, 20, 5, 3, 6, 35}) {
      s.arrive(prompt, 30);
    }
    for (int i = 0; i < 30; i++) {
      s.plan();
      // One block is enough for whoever stalls; the rest is for want of tokens.
      if (s.plan.remainingTokens() == 0 && s.plan.evictionCount() > 0) {
        assertThat(s.plan.evictionCount()).as("iteration %d", i).isEqualTo(1);
      }
      s.plan.commit();
    }
  }

  @Test
  void gaugesAreNumbersFromTheStart() {
    for (String name : List.of("weir", "headroom")) {
      Stepper s = stepper(name, new KvCapacity(100, 16, 0), Optional.empty(), Map.of());
      assertThat(s.gauges().values()).allMatch(Double::isFinite);
      s.arrive(10, 10);
      assertThat(s.gauges().values()).allMatch(Double::isFinite);
      // All at once: the gaps say nothing but that the rate is infinite.
      for (int i = 0; i < 30; i++) {
        s.arrive(10, 10);
      }
      s.run(1);
      assertThat(s.gauges().values()).allMatch(Double::isFinite);
      assertThat(s.gauges()).containsKeys("sustainable_rate", "segment_capacity{segment=\"1\"}");
      s.arrive(10, 10);
      s.run(1);
      assertThat(s.gauges()).containsKeys("arrival_rate", "stability_margin");
    }
  }
}
