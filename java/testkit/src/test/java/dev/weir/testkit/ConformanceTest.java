package dev.weir.testkit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.weir.scheduling.IterationPlan;
import dev.weir.scheduling.Request;
import dev.weir.scheduling.Scheduler;
import dev.weir.scheduling.SchedulerConfig;
import dev.weir.scheduling.SchedulerFactory;
import dev.weir.testkit.ReportCard.Verdict;
import example.MyScheduler;
import example.MySchedulerFactory;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;

@Isolated("the long run looks at the heap")
class ConformanceTest {
  private static SchedulerFactory factory(Function<SchedulerConfig, Scheduler> constructor) {
    return new SchedulerFactory() {
      @Override
      public String name() {
        return "odd";
      }

      @Override
      public String description() {
        return "for this test";
      }

      @Override
      public Scheduler create(SchedulerConfig config) {
        return constructor.apply(config);
      }
    };
  }

  private static ReportCard run(Function<SchedulerConfig, Scheduler> constructor) {
    return Conformance.of(factory(constructor)).effort(20, 1000, 1).run();
  }

  @Test
  void whatNeverWorksIsJudgedOnce() {
    ReportCard card =
        run(
            config ->
                new MyScheduler(config) {
                  @Override
                  protected void start(Request request, IterationPlan plan) {
                    throw new IllegalStateException("never");
                  }
                });
    assertThat(card.results())
        .allSatisfy(
            result ->
                assertThat(result.verdict())
                    .isEqualTo(
                        result.property() == ConformanceProperty.RANDOM_WORKLOADS
                            ? Verdict.FAILED
                            : Verdict.NOT_JUDGED));
    assertThat(card.toString()).contains("not judged", "see random workloads");
  }

  @Test
  void whatIsOnlyShrunkIsSmall() {
    ReportCard card =
        run(
            config ->
                new MyScheduler(config) {
                  @Override
                  public void arrived(Request request, double now) {
                    super.arrived(request, now);
                    if (request.promptTokens() >= 13 && memory.blockSize() == 2) {
                      throw new IllegalStateException("thirteen");
                    }
                  }
                });
    assertThat(card.results().get(ConformanceProperty.RANDOM_WORKLOADS.ordinal()).detail())
        .contains("thirteen", "seen with 1 requests [[at 0.0 s: prompt 13, output 1 of 1]]");
  }

  @Test
  void aFactoryMayRefuseSomeConfigurations() {
    ReportCard card =
        run(
            config -> {
              if (config.workload().isPresent() && config.limits().maxSequences() < 8) {
                throw new IllegalArgumentException("too few sequences");
              }
              return new MyScheduler(config);
            });
    assertThat(card.passed()).as(card.toString()).isTrue();
    assertThat(card.toString()).contains("configurations refused");
  }

  @Test
  void aFactoryMustNotRefuseAll() {
    ReportCard card =
        run(
            config -> {
              throw new IllegalArgumentException("needs the option cap");
            });
    assertThat(card.results())
        .allSatisfy(
            result -> {
              assertThat(result.verdict()).isEqualTo(Verdict.FAILED);
              assertThat(result.detail()).contains("refuses every", "needs the option cap");
            });
  }

  @Test
  void clairvoyantsSeeTheTrueLengthAndOthersDoNot() {
    Function<SchedulerConfig, Scheduler> needsTheTruth =
        config ->
            new MyScheduler(config) {
              @Override
              public void arrived(Request request, double now) {
                if (request.trueOutputTokens() < 1) {
                  throw new IllegalStateException("blind");
                }
                super.arrived(request, now);
              }
            };
    Conformance blind = Conformance.of(factory(needsTheTruth)).effort(20, 1000, 1);
    assertThat(blind.check(ConformanceProperty.RANDOM_WORKLOADS).detail()).contains("blind");
    assertThat(blind.clairvoyant().check(ConformanceProperty.RANDOM_WORKLOADS).verdict())
        .isEqualTo(Verdict.PASSED);
  }

  @Test
  void optionsReachTheFactory() {
    Conformance conformance = Conformance.of(new MySchedulerFactory()).options(Map.of("no", "1"));
    assertThat(conformance.check(ConformanceProperty.DRAIN).detail())
        .contains("scheduler 'my-scheduler' has no option [no]");
    assertThat(conformance).hasToString("my-scheduler {no=1}");
  }

  @Test
  void settingsAreChecked() {
    Conformance conformance = Conformance.of(new MySchedulerFactory());
    assertThatIllegalArgumentException()
        .isThrownBy(() -> conformance.sustains(1))
        .withMessage("share is 1.0, must be greater than 0 and less than 1");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> conformance.effort(0, 1000, 1))
        .withMessageContaining("workloads is 0");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> conformance.effort(1, 999, 1))
        .withMessageContaining("steps is 999");
  }
}
