package dev.weir.scheduling.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import dev.weir.scheduling.BatchLimits;
import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.KvCapacity;
import dev.weir.scheduling.LengthHistogram;
import dev.weir.scheduling.Preemption;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Workload;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Random;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class McsfSchedulerTest {
  private static Stepper stepper(long blocks, int sequences, int tokens, String... order) {
    return Stepper.of(
        "mcsf",
        new KvCapacity(blocks, 1, 0),
        new BatchLimits(sequences, tokens),
        Preemption.RECOMPUTE,
        Optional.empty(),
        order.length == 0 ? Map.of() : Map.of("order", order[0]));
  }

  private static McsfScheduler scheduler(SteppedLoad load, McsfScheduler.Order order) {
    return scheduler(load, order, 0);
  }

  private static McsfScheduler scheduler(SteppedLoad load, McsfScheduler.Order order, double pace) {
    return new McsfScheduler(load.memory(), load.limits(), order, pace, OptionalDouble.empty());
  }

  @Test
  void admitsAsSoonAsEveryLaterCompletionFits() {
    // One token a block. The first holds 4, 5, 6, 7 tokens in iterations 0..3, then ends. The
    // second, admitted in iteration k, holds 3, 4, 5, 6: in iteration 3 both hold 7 + 6 - k, of
    // 11, so k = 2.
    Stepper s = stepper(11, 8, 100);
    Request first = s.arrive(4, 4, 4);
    Request second = s.arrive(3, 9, 4);
    for (int iteration = 0; iteration < 2; iteration++) {
      s.plan();
      assertThat(s.scheduled()).containsExactly(first);
      assertThat(s.plan.held(0)).isSameAs(second);
      assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.MEMORY_BUFFER);
      s.plan.commit();
    }
    s.plan();
    assertThat(s.scheduled()).containsExactlyInAnyOrder(first, second);
  }

  @Test
  void looksAtItsOwnCompletionToo() {
    // The second would end in iteration 1, with 4 tokens beside the first's 5.
    Stepper s = stepper(8, 8, 100);
    s.arrive(4, 4, 4);
    Request second = s.arrive(3, 2, 2);
    s.plan();
    assertThat(second.state()).isEqualTo(RequestState.WAITING);
    Stepper larger = stepper(9, 8, 100);
    larger.arrive(4, 4, 4);
    second = larger.arrive(3, 2, 2);
    larger.plan();
    assertThat(second.state()).isEqualTo(RequestState.RESIDENT);
  }

  @Test
  void countsBlocksNotTokens() {
    // Of blocks of 4 tokens, a prompt of 4 and a second output token take 2.
    KvCapacity memory = new KvCapacity(3, 4, 0);
    for (int output : new int[] {1, 2}) {
      Stepper s =
          Stepper.of(
              "mcsf",
              memory,
              new BatchLimits(8, 100),
              Preemption.RECOMPUTE,
              Optional.empty(),
              Map.of());
      s.arrive(4, 2, 2);
      s.arrive(4, 4, output);
      s.plan();
      assertThat(s.scheduled()).hasSize(output == 1 ? 2 : 1);
    }
  }

  @Test
  void aPromptInChunksCompletesWhenTheOthersLeaveItTheBudget() {
    // 4 tokens an iteration, of which the first takes 3, 1, 1 and then ends.
    Stepper s = stepper(15, 8, 4);
    Request first = s.arrive(3, 3, 3);
    Request second = s.arrive(10, 2, 2);
    int[] tokens = new int[4];
    for (int i = 0; i < 4; i++) {
      s.plan();
      tokens[i] = second.scheduledTokens();
      s.plan.commit();
      if (i == 2) {
        assertThat(first.generatedTokens()).isEqualTo(3);
        s.end(first);
      }
    }
    assertThat(tokens).containsExactly(1, 3, 3, 3);
    assertThat(second.generatedTokens()).isEqualTo(1);
  }

  /**
   * 4 tokens an iteration. The prompt of 8 gets 2 of them in each, so ends in iteration 3, and the
   * request holds 8 + 2 when the first ends in iteration 5 with 6: 16 in all. After a cancellation
   * it could end in iteration 2, and would hold 17.
   */
  private static Stepper cancelledBesideAPrompt(long blocks) {
    Stepper s = stepper(blocks, 8, 4);
    s.arrive(1, 6, 6);
    Request cancelled = s.arrive(1, 4, 4);
    s.arrive(8, 9, 9);
    s.run(1);
    s.end(cancelled);
    s.run(1);
    return s;
  }

  @Test
  void aPromptDoesNotEndEarlierThanPlannedIfThatWouldNotFit() {
    Stepper s = cancelledBesideAPrompt(16);
    Request late = s.arrive(1, 9, 1);
    s.plan();
    Request first = s.plan.request(0);
    Request second = s.plan.request(1);
    assertThat(second.cachedTokens()).isEqualTo(5);
    assertThat(second.scheduledTokens()).isEqualTo(2);
    assertThat(s.plan.held(0)).isSameAs(late);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.TOKEN_BUDGET);
    s.plan.commit();
    s.end(late);
    s.run(3);
    assertThat(first.cachedTokens()).isEqualTo(6);
    assertThat(second.cachedTokens()).isEqualTo(10);
    assertThat(second.generatedTokens()).isEqualTo(3);
  }

  @Test
  void aPromptEndsEarlierThanPlannedIfThatFits() {
    Stepper s = cancelledBesideAPrompt(17);
    s.plan();
    assertThat(s.plan.request(1).scheduledTokens()).isEqualTo(3);
  }

  @Test
  void whatACancelledRequestWouldHaveTakenIsFree() {
    // When the first ends in iteration 3 with 7 tokens, the second would hold 8 and the third 8,
    // or 7 if admitted an iteration later.
    Stepper s = stepper(20, 8, 100);
    s.arrive(4, 4, 4);
    Request second = s.arrive(5, 9, 9);
    Request third = s.arrive(5, 4, 4);
    s.run(1);
    assertThat(third.state()).isEqualTo(RequestState.WAITING);
    s.end(second);
    s.plan();
    assertThat(third.state()).isEqualTo(RequestState.RESIDENT);
  }

  @Test
  void shortestFirstAdmitsInOrderOfTrueLength() {
    Stepper s = stepper(100, 2, 100, "shortest");
    Request longest = s.arrive(5, 10, 9);
    Request middle = s.arrive(5, 20, 5);
    Request shortest = s.arrive(5, 30, 2);
    s.plan();
    assertThat(s.scheduled()).containsExactlyInAnyOrder(shortest, middle);
    assertThat(s.plan.held(0)).isSameAs(longest);
    assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.SEQUENCE_LIMIT);
  }

  @Test
  void aPaceSpreadsAdmissionsAfterABurst() {
    // W = (9 + 1) * (5.5 + 9 / 2) = 100 and C = 400: 4 requests an iteration fill the pool; of
    // these an eighth. In the first iteration 8 enter, then one in every second.
    KvCapacity memory = new KvCapacity(400, 1, 0);
    Workload workload = new Workload(1, LengthHistogram.of(5, 6), LengthHistogram.of(9));
    Stepper s =
        Stepper.of(
            "mcsf",
            memory,
            new BatchLimits(100, 1000),
            Preemption.RECOMPUTE,
            Optional.of(workload),
            Map.of("pace", "0.125"));
    List<Request> requests = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      requests.add(s.arrive(1, 20, 20));
    }
    int[] resident = new int[6];
    for (int i = 0; i < resident.length; i++) {
      s.plan();
      assertThat(s.plan.holdReason(0)).isEqualTo(HoldReason.PACING);
      resident[i] = s.plan.size();
      s.plan.commit();
    }
    assertThat(resident).containsExactly(8, 8, 9, 9, 10, 10);
    // Nobody waits for the pace when nothing runs.
    requests.stream().limit(10).forEach(s::end);
    s.plan();
    assertThat(s.scheduled()).containsExactly(requests.get(10));
  }

  @Test
  void withoutAWorkloadThePaceFollowsTheLengthsOfThoseThatArrived() {
    // 400 / ((9 + 1) * (5 + 9 / 2)) = 4.2 an iteration.
    Stepper s =
        Stepper.of(
            "mcsf",
            new KvCapacity(400, 1, 0),
            new BatchLimits(100, 1000),
            Preemption.RECOMPUTE,
            Optional.empty(),
            Map.of("pace", "1"));
    for (int i = 0; i < 20; i++) {
      s.arrive(5, 50, 9);
    }
    s.plan();
    assertThat(s.plan.size()).isEqualTo(8);
    s.plan.commit();
    s.plan();
    assertThat(s.plan.size()).isEqualTo(12);
  }

  @Test
  void takesTheDeclaredLengthWhenTheTrueOneIsUnknown() {
    Stepper s = stepper(12, 8, 100);
    Request first = s.arrive(4, 5);
    Request second = s.arrive(4, 5);
    s.plan();
    assertThat(s.scheduled()).containsExactly(first);
    s.plan.commit();
    s.end(first);
    s.plan();
    assertThat(s.scheduled()).containsExactly(second);
  }

  @Test
  void aRequestThatOutlivesItsTrueLengthIsAnError() {
    Stepper s = stepper(12, 8, 100);
    s.arrive(4, 5, 1);
    s.run(1);
    assertThatIllegalStateException()
        .isThrownBy(s::plan)
        .withMessageContaining("more output tokens than its true length, 1");
  }

  @Test
  void refusesAnUnknownOrder() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> stepper(12, 8, 100, "longest"))
        .withMessageContaining("order=longest is not one of [fcfs, shortest]");
  }

  /** Requests leave early and iterations fail; everybody still has the memory that was planned. */
  @Property(tries = 3000, edgeCases = EdgeCasesMode.NONE)
  void neverEvictsAndNeverStalls(@ForAll long seed, @ForAll McsfScheduler.Order order) {
    Random random = new Random(seed);
    SteppedLoad load = SteppedLoad.random(random).withCancellations(random);
    double pace = random.nextBoolean() ? 0 : 2 * random.nextDouble();
    load.run(scheduler(load, order, pace), alive -> {}, () -> random.nextInt(10) == 0);
  }

  /** If nobody else were admitted, the requests resident now would fit to the end. */
  @Property(tries = 1000, edgeCases = EdgeCasesMode.NONE)
  void theResidentsFitInEveryLaterIteration(@ForAll long seed, @ForAll McsfScheduler.Order order) {
    SteppedLoad load = SteppedLoad.random(new Random(seed));
    load.run(scheduler(load, order), alive -> assertFits(load, alive));
  }

  private static void assertFits(SteppedLoad load, List<Request> alive) {
    List<int[]> residents = new ArrayList<>();
    for (Request request : alive) {
      if (request.state() == RequestState.RESIDENT) {
        int end = request.promptTokens() + request.trueOutputTokens() - 1;
        int cached = request.cachedTokens() + request.scheduledTokens();
        residents.add(new int[] {request.promptTokens(), end, cached});
      }
    }
    while (!residents.isEmpty()) {
      long used = residents.stream().mapToLong(r -> load.memory().blocksFor(r[2])).sum();
      assertThat(used).isLessThanOrEqualTo(load.memory().blocks());
      residents.removeIf(r -> r[2] == r[1]);
      int budget = load.limits().maxTokens();
      for (boolean prefill : new boolean[] {false, true}) {
        for (int[] r : residents) {
          if (r[2] < r[0] == prefill) {
            int tokens = prefill ? Math.min(r[0] - r[2], budget) : 1;
            budget -= tokens;
            r[2] += tokens;
          }
        }
      }
      assertThat(budget).isNotNegative();
    }
  }

  /**
   * First come first served, everybody is admitted no later than by {@code reserve}, if no prompt
   * has to wait for tokens: by induction those before left no later and never take more.
   */
  @Property(tries = 1000, edgeCases = EdgeCasesMode.NONE)
  void admitsNobodyLaterThanReserveDoes(@ForAll long seed) {
    SteppedLoad random = SteppedLoad.random(new Random(seed));
    BatchLimits limits = new BatchLimits(random.limits().maxSequences(), 10_000);
    SteppedLoad load = random.withLimits(limits);
    int[] clairvoyant = load.run(scheduler(load, McsfScheduler.Order.ARRIVAL), alive -> {});
    int[] reserving =
        load.run(
            new ReservingScheduler(
                load.memory(), limits, ReservingScheduler.Joining.WITH_FIRST_CHUNK, 1),
            alive -> {});
    for (int i = 0; i < clairvoyant.length; i++) {
      assertThat(clairvoyant[i]).as("admission of request %s", i).isLessThanOrEqualTo(reserving[i]);
    }
  }
}
