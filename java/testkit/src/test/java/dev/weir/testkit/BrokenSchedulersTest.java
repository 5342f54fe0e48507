package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.testkit.engine.EventConditions.event;
import static org.junit.platform.testkit.engine.EventConditions.finishedWithFailure;
import static org.junit.platform.testkit.engine.EventConditions.test;
import static org.junit.platform.testkit.engine.TestExecutionResultConditions.message;

import dev.weir.scheduling.HoldReason;
import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.RequestState;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.testkit.ReportCard.Result;
import dev.weir.testkit.ReportCard.Verdict;
import example.MyScheduler;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ObjDoubleConsumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.platform.testkit.engine.EngineTestKit;

/**
 * Schedulers with one small fault each, and the kit finds it: the property that it breaks fails,
 * and all others pass.
 */
@Isolated("the long run looks at the heap")
class BrokenSchedulersTest {
  enum Broken {
    ADMITS_BY_THE_FIRST_CHUNK(
        ConformanceProperty.NO_OVERFLOW_AT_ADMISSION,
        "the rest of the prompts under way takes",
        config ->
            new MyScheduler(config) {
              @Override
              protected HoldReason obstacle(Request request, IterationPlan plan) {
                HoldReason obstacle = super.obstacle(request, plan);
                int chunk = Math.min(request.pendingTokens(), plan.remainingTokens());
                boolean fits =
                    request.state() == RequestState.WAITING
                        && memory.blocksFor(chunk) <= plan.freeBlocks();
                return obstacle == HoldReason.MEMORY && fits ? null : obstacle;
              }
            }),

    KEEPS_SWAPPED_REQUESTS_BESIDE_A_FULL_BATCH(
        ConformanceProperty.NO_OVERFLOW_AT_ADMISSION,
        "more than maxSequences",
        config ->
            new MyScheduler(config) {
              @Override
              protected void putBack(Request victim) {
                Request first = waiting.pollFirst();
                waiting.addFirst(victim);
                if (first != null) {
                  waiting.addFirst(first);
                }
              }
            }),

    LOSES_WHO_IS_EVICTED_TWICE(
        ConformanceProperty.CONSERVATION,
        "lost",
        config ->
            new MyScheduler(config) {
              @Override
              protected void putBack(Request victim) {
                if (victim.evictions() != 2 || victim.state() == RequestState.SWAPPED) {
                  super.putBack(victim);
                }
              }

              @Override
              protected void hold(IterationPlan plan, HoldReason reason) {
                if (!waiting.isEmpty()) {
                  super.hold(plan, reason);
                }
              }
            }),

    SERVES_ONE_AT_A_TIME(
        ConformanceProperty.LIVENESS,
        "requests waited at the same time",
        config ->
            new MyScheduler(config) {
              @Override
              protected HoldReason obstacle(Request request, IterationPlan plan) {
                return running.isEmpty()
                    ? super.obstacle(request, plan)
                    : HoldReason.SEQUENCE_LIMIT;
              }
            }),

    LETS_THE_SMALL_PASS(
        ConformanceProperty.NO_STARVATION,
        "th to be scheduled",
        config ->
            new MyScheduler(config) {
              @Override
              protected void admit(IterationPlan plan) {
                for (Iterator<Request> i = waiting.iterator(); i.hasNext(); ) {
                  Request request = i.next();
                  HoldReason obstacle = obstacle(request, plan);
                  if (obstacle == null) {
                    i.remove();
                    start(request, plan);
                  } else {
                    plan.hold(request, obstacle);
                    if (request.state() == RequestState.SWAPPED) {
                      return;
                    }
                  }
                }
              }
            }),

    PREFERS_NEWCOMERS(
        ConformanceProperty.NO_STARVATION,
        "others were scheduled for the first time while it paused",
        config ->
            new MyScheduler(config) {
              @Override
              protected void admit(IterationPlan plan) {
                Set<Request> back = new HashSet<>();
                waiting.stream()
                    .filter(r -> r.evictions() > 0 && r.state() == RequestState.WAITING)
                    .forEach(back::add);
                List<Request> queue = new ArrayList<>(waiting);
                queue.sort((a, b) -> Boolean.compare(back.contains(a), back.contains(b)));
                waiting.clear();
                waiting.addAll(queue);
                super.admit(plan);
              }
            }),

    WAITS_FOR_A_SECOND(
        ConformanceProperty.DRAIN,
        "held for THRESHOLD, and nothing will change that",
        config ->
            new MyScheduler(config) {
              @Override
              protected HoldReason obstacle(Request request, IterationPlan plan) {
                boolean alone = waiting.size() == 1 && request.evictions() == 0;
                return alone ? HoldReason.THRESHOLD : super.obstacle(request, plan);
              }
            }),

    FORGETS_TO_FORGET(
        ConformanceProperty.CANCELLATION,
        "holds one that is not there",
        config ->
            new MyScheduler(config) {
              @Override
              public void departed(Request request, double now) {
                running.remove(request);
              }
            }),

    COUNTS_THE_CANCELLED(
        ConformanceProperty.CANCELLATION,
        "the gauge queued is",
        config ->
            new MyScheduler(config) {
              private int queued;

              @Override
              public void arrived(Request request, double now) {
                super.arrived(request, now);
                queued++;
              }

              @Override
              protected void start(Request request, IterationPlan plan) {
                super.start(request, plan);
                queued--;
              }

              @Override
              protected void putBack(Request victim) {
                super.putBack(victim);
                queued++;
              }

              @Override
              public void gauges(ObjDoubleConsumer<String> sink) {
                sink.accept("queued", queued);
              }
            }),

    COUNTS_ON_EVERY_ITERATION(
        ConformanceProperty.CANCELLATION,
        "nothing cached",
        config ->
            new MyScheduler(config) {
              @Override
              public void departed(Request request, double now) {
                if (running.contains(request) && request.cachedTokens() == 0) {
                  throw new IllegalStateException("nothing cached");
                }
                super.departed(request, now);
              }
            }),

    BREAKS_TIES_BY_IDENTITY(
        ConformanceProperty.DETERMINISM,
        "a second run makes other decisions",
        config ->
            new MyScheduler(config) {
              @Override
              protected void admit(IterationPlan plan) {
                Request first = waiting.pollFirst();
                Request second = waiting.peekFirst();
                boolean tie =
                    second != null
                        && first.evictions() + second.evictions() == 0
                        && first.arrivalTime() == second.arrivalTime();
                if (tie && System.identityHashCode(second) < System.identityHashCode(first)) {
                  waiting.removeFirst();
                  waiting.addFirst(first);
                  waiting.addFirst(second);
                } else if (first != null) {
                  waiting.addFirst(first);
                }
                super.admit(plan);
              }
            }),

    LOOKS_AT_THE_CLOCK(
        ConformanceProperty.DETERMINISM,
        "makes other decisions",
        config ->
            new MyScheduler(config) {
              @Override
              public void plan(IterationPlan plan) {
                super.plan(plan);
                plan.wakeAt(plan.now() + (System.nanoTime() & 0xFFFF));
              }
            }),

    DISLIKES_THREE(
        ConformanceProperty.RANDOM_WORKLOADS,
        "plan() threw java.lang.IllegalStateException: three",
        config ->
            new MyScheduler(config) {
              @Override
              protected void start(Request request, IterationPlan plan) {
                if (memory.blockSize() == 3 && request.promptTokens() % 3 == 0) {
                  throw new IllegalStateException("three");
                }
                super.start(request, plan);
              }
            }),

    KEEPS_THE_DEPARTED(
        ConformanceProperty.LONG_RUN,
        "departed requests are still referred to",
        config ->
            new MyScheduler(config) {
              private final List<Request> departed = new ArrayList<>();

              @Override
              public void departed(Request request, double now) {
                super.departed(request, now);
                departed.add(request);
              }
            }),

    KEEPS_A_DIARY(
        ConformanceProperty.LONG_RUN,
        "the heap grew by",
        config ->
            new MyScheduler(config) {
              private final List<long[]> diary = new ArrayList<>();

              @Override
              public void plan(IterationPlan plan) {
                super.plan(plan);
                diary.add(new long[64]);
              }
            }),

    SAYS_NOTHING(
        ConformanceProperty.DECISION_LOG,
        "holds none of them",
        config ->
            new MyScheduler(config) {
              @Override
              protected void hold(IterationPlan plan, HoldReason reason) {
                if (plan.size() == 0) {
                  super.hold(plan, reason);
                }
              }
            }),

    TAKES_ANYTHING(
        ConformanceProperty.REFUSAL,
        "which is too large",
        config ->
            new MyScheduler(config) {
              @Override
              public void arrived(Request request, double now) {
                waiting.addLast(request);
              }
            }),

    REFUSES_THE_LARGEST(
        ConformanceProperty.REFUSAL,
        "which fits",
        config ->
            new MyScheduler(config) {
              @Override
              public void arrived(Request request, double now) {
                super.arrived(request, now);
                if (request.promptTokens() + request.maxOutputTokens() > memory.tokens()) {
                  waiting.removeLast();
                  throw new IllegalArgumentException("too large");
                }
              }
            }),

    OVERSLEEPS(
        ConformanceProperty.WAKE_UP,
        "plans in a row are empty though nobody arrived",
        config ->
            new MyScheduler(config) {
              private double busy;

              @Override
              public void departed(Request request, double now) {
                super.departed(request, now);
                busy = now;
              }

              @Override
              public void plan(IterationPlan plan) {
                if (plan.now() - busy > 100 && waiting.size() == 1 && running.isEmpty()) {
                  plan.hold(waiting.getFirst(), HoldReason.PACING);
                  plan.wakeAt(plan.now() + 0.1);
                } else {
                  super.plan(plan);
                }
              }
            });

    private final ConformanceProperty property;
    private final String complaint;
    private final Function<SchedulerConfig, Scheduler> constructor;

    Broken(
        ConformanceProperty property,
        String complaint,
        Function<SchedulerConfig, Scheduler> constructor) {
      this.property = property;
      this.complaint = complaint;
      this.constructor = constructor;
    }

    SchedulerFactory factory() {
      return new SchedulerFactory() {
        @Override
        public String name() {
          return Broken.this.name();
        }

        @Override
        public String description() {
          return "breaks " + property;
        }

        @Override
        public Scheduler create(SchedulerConfig config) {
          return constructor.apply(config);
        }
      };
    }
  }

  @ParameterizedTest
  @EnumSource
  void failsExactlyItsProperty(Broken broken) {
    ReportCard card = Conformance.of(broken.factory()).effort(200, 30_000, 1).run();
    assertThat(card.results())
        .as(card.toString())
        .filteredOn(result -> result.verdict() != Verdict.PASSED)
        .extracting(Result::property)
        .containsExactly(broken.property);
    assertThat(card.results().get(broken.property.ordinal()))
        .satisfies(
            result -> {
              assertThat(result.verdict()).isEqualTo(Verdict.FAILED);
              assertThat(result.detail()).contains(broken.complaint);
            });
    assertThat(card.passed()).isFalse();
    assertThat(card.toString()).contains("11 of 12 passed", broken.complaint);
  }

  @Test
  void everyPropertyHasAScheduler() {
    assertThat(Broken.values())
        .extracting(broken -> broken.property)
        .contains(ConformanceProperty.values());
  }

  /** Run by {@link #junitReportsTheFailure} only. */
  static class BrokenConformance extends SchedulerConformance {
    @Override
    protected SchedulerFactory factory() {
      return Broken.TAKES_ANYTHING.factory();
    }

    @Override
    protected Conformance conformance() {
      return super.conformance().effort(20, 1000, 1);
    }
  }

  @Test
  void junitReportsTheFailure() {
    EngineTestKit.engine("junit-jupiter")
        .selectors(selectClass(BrokenConformance.class))
        .execute()
        .testEvents()
        .assertStatistics(statistics -> statistics.succeeded(11).failed(1))
        .assertThatEvents()
        .haveExactly(
            1,
            event(
                test(),
                finishedWithFailure(
                    message(
                        m ->
                            m.startsWith("scheduler 'TAKES_ANYTHING' fails refusal")
                                && m.contains("rule: a request that cannot fit")
                                && m.contains("seen: accepts Request[")))));
  }
}
