package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jmh.profile.ProfilerException;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

class NcuProfilerTest {
  private static final String RAW =
      """
      "ID","Kernel Name","gpu__time_duration.sum","dram__bytes_read.sum","dram__bytes_write.sum"
      "","","nsecond","byte","byte"
      "0","void weir::cuda::decode_attention<__half, 128>(const __half *)","100,000","390,000,000","10,000,000"
      "1","void weir::cuda::decode_attention<__half, 128>(const __half *)","200,000","790,000,000","10,000,000"
      """;

  @TempDir Path temporary;
  private StandIn ncu;
  private Path reports;
  private Path out;

  @BeforeEach
  void prepare() throws IOException {
    ncu = new StandIn("ncu", temporary);
    reports = temporary.resolve("reports");
    out = Files.writeString(temporary.resolve("out"), "==WARNING== No kernels were profiled.\n");
  }

  private NcuProfiler profiler(String... more) throws ProfilerException {
    String options = "ncu=" + ncu.program() + ";dir=" + reports;
    return new NcuProfiler(options + ";" + String.join(";", more), Map.of());
  }

  @Test
  void wrapsTheForkAndReportsKernels() throws Exception {
    ncu.file("raw.csv", RAW);

    RunResult run =
        new Runner(
                new OptionsBuilder()
                    .include("NativeCallBenchmark.downcallCritical$")
                    .forks(1)
                    .jvmArgsPrepend("-Dweir.root=" + System.getProperty("weir.root"))
                    .warmupIterations(0)
                    .measurementIterations(1)
                    .measurementTime(TimeValue.milliseconds(10))
                    .verbosity(VerboseMode.SILENT)
                    .shouldFailOnError(true)
                    .addProfiler(NcuProfiler.class, "ncu=" + ncu.program() + ";dir=" + reports)
                    .build())
            .runSingle();

    assertThat(ncu.calls()).hasSize(2);
    assertThat(ncu.calls().getFirst())
        .contains("org.openjdk.jmh.runner.ForkedMain")
        .doesNotContain("-Dweir.benchmark.ranges=true");
    assertThat(ncu.calls().get(1))
        .contains("--page=raw", "--csv", "--print-units=base")
        .first()
        .asString()
        .startsWith("--import=" + reports)
        .endsWith(".ncu-rep");
    Result<?> attention = run.getSecondaryResults().get("ncu.kernel.decode_attention");
    assertThat(attention.getScore()).isEqualTo(150, within(1e-9));
    assertThat(run.getSecondaryResults().get("ncu").extendedInfo())
        .contains("4000", "decode_attention<__half, 128>", ".ncu-rep");
  }

  @Test
  void optionsBecomeArguments() throws Exception {
    assertThat(profiler().command("run"))
        .containsExactly(
            ncu.program().toString(),
            "--target-processes=all",
            "--set=basic",
            "--metrics=" + String.join(",", KernelCounters.METRICS),
            "--clock-control=none",
            "--launch-skip=0",
            "--launch-count=20",
            "--export=" + reports.resolve("run"));
    assertThat(profiler("range=step/").addJVMOptions(null))
        .containsExactly("-Dweir.benchmark.ranges=true");
    assertThat(
            profiler(
                    "kernel=decode|merge",
                    "range=step/",
                    "skip=640",
                    "count=32",
                    "set=full",
                    "clocks=base",
                    "args=--cache-control none")
                .command("run"))
        .contains(
            "--set=full",
            "--clock-control=base",
            "--kernel-name=regex:decode|merge",
            "--nvtx",
            "--nvtx-include=step/",
            "--launch-skip=640",
            "--launch-count=32",
            "--cache-control",
            "none");
  }

  @Test
  void aMissingProgramIsNamedWithWhatToTurn() {
    assertThatThrownBy(() -> new NcuProfiler("", Map.of("PATH", "/nowhere")))
        .isInstanceOf(ProfilerException.class)
        .hasMessageContaining("PATH (/nowhere)")
        .hasMessageContaining("Nsight Compute")
        .hasMessageContaining("-prof ncu:ncu=FILE")
        .hasMessageContaining("WEIR_NCU=FILE");
  }

  @Test
  void wrongOptionsAreRefused() {
    assertThatThrownBy(() -> profiler("count=0")).hasMessage("count is 0, must be at least 1");
    assertThatThrownBy(() -> profiler("skip=-1")).hasMessage("skip is -1, must be at least 0");
    assertThatThrownBy(() -> profiler("clocks=boost"))
        .hasMessage("clocks is boost, must be one of none, base");
    assertThatThrownBy(() -> profiler("delay=1")).hasMessageContaining("--kernel");
  }

  @Test
  void noReportIsSaidWithWhatWasWritten() throws Exception {
    NcuProfiler profiler = profiler();
    profiler.command("run");

    assertThat(text(profiler))
        .contains("left no report " + reports.resolve("run.ncu-rep"))
        .contains("No kernels were profiled");
  }

  @Test
  void aReportThatCannotBeReadIsSaid() throws Exception {
    NcuProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.ncu-rep"));

    assertThat(text(profiler)).contains("status 1", "==ERROR== Failed to open");

    ncu.file("raw.csv", "==PROF== nothing\n");
    assertThat(text(profiler)).contains("no kernel was profiled");
  }

  private String text(NcuProfiler profiler) {
    List<Result<?>> results = profiler.results(out.toFile(), out.toFile());
    assertThat(results).hasSize(1);
    return results.getFirst().extendedInfo();
  }
}
