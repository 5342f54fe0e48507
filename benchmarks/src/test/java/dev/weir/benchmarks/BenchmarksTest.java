package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Collection;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.BenchmarkList;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.format.OutputFormatFactory;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Every benchmark runs, in this JVM and for a moment; nothing is measured. */
class BenchmarksTest {
  /**
   * Their weights alone would take a gigabyte; what they share with others is tested with others.
   */
  private static final String LARGE = "Llama2StepBenchmark|SwapBenchmark";

  @Test
  void run() throws RunnerException {
    Options options =
        new OptionsBuilder()
            .include("dev\\.weir\\.benchmarks\\.")
            .exclude(LARGE)
            .param("precision", "DEFAULT")
            .param("sequences", "2")
            .param("policy", "sarathi")
            .param("waiting", "10")
            .param("load", "60/200/60")
            .param("sentences", "1")
            .forks(0)
            .warmupIterations(0)
            .measurementIterations(1)
            .measurementTime(TimeValue.milliseconds(1))
            .timeUnit(TimeUnit.MICROSECONDS)
            .shouldFailOnError(true)
            .verbosity(VerboseMode.SILENT)
            .build();

    Collection<RunResult> results = new Runner(options).run();

    assertThat(results)
        .allSatisfy(run -> assertThat(run.getPrimaryResult().getScore()).isPositive());
    assertThat(results.stream().map(run -> run.getParams().getBenchmark()).distinct())
        .hasSize(
            BenchmarkList.defaultList()
                .find(
                    OutputFormatFactory.createFormatInstance(System.out, VerboseMode.SILENT),
                    options.getIncludes(),
                    options.getExcludes())
                .size());
  }
}
