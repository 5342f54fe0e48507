package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.openjdk.jmh.profile.ProfilerException;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.ChainedOptionsBuilder;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

class NsysProfilerTest {
  private static final String KERNELS =
      """
      Time (%),Total Time (ns),Instances,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name
      75.0,3000000,300,10000.0,10000.0,9000,11000,500.0,"void weir::cuda::decode_attention<__half, 128>(const __half *, int)"
      25.0,1000000,100,10000.0,10000.0,9000,11000,500.0,"void weir::cuda::rms_norm<__half>(__half *)"
      """;
  private static final String RANGES =
      """
      Time (%),Total Time (ns),Instances,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Style,Range
      66.7,5000000,100,50000.0,50000.0,40000,60000,500.0,PushPop,:step
      33.3,2500000,100,25000.0,25000.0,20000,30000,500.0,PushPop,:layers 0-7
      """;

  @TempDir Path temporary;
  private StandIn nsys;
  private Path reports;
  private Path out;
  private Path err;

  @BeforeEach
  void prepare() throws IOException {
    nsys = new StandIn("nsys", temporary);
    reports = temporary.resolve("reports");
    out = Files.writeString(temporary.resolve("out"), "");
    err = Files.writeString(temporary.resolve("err"), "");
  }

  private NsysProfiler profiler(String... more) throws ProfilerException {
    String options = "nsys=" + nsys.program() + ";dir=" + reports;
    return new NsysProfiler(options + ";" + String.join(";", more), Map.of());
  }

  @Test
  void wrapsTheForkAndReportsKernelsAndRanges() throws Exception {
    nsys.file("cuda_gpu_kern_sum.csv", KERNELS).file("nvtx_sum.csv", RANGES);

    RunResult run = only(jmh("").run());

    List<String> profile = nsys.calls().getFirst();
    assertThat(profile)
        .startsWith(
            "profile",
            "--trace=cuda,nvtx,osrt",
            "--sample=none",
            "--cpuctxsw=none",
            "--cuda-graph-trace=node");
    assertThat(profile.get(5)).startsWith("--output=" + reports);
    assertThat(Path.of(profile.get(6))).hasFileName("java");
    assertThat(profile)
        .contains("-Dweir.benchmark.ranges=true", "org.openjdk.jmh.runner.ForkedMain");
    assertThat(nsys.calls()).hasSize(4);
    assertThat(nsys.calls().get(1))
        .contains("stats", "--report=cuda_gpu_kern_sum", "--format=csv")
        .last()
        .asString()
        .isEqualTo(profile.get(5).substring("--output=".length()) + ".nsys-rep");

    assertThat(run.getPrimaryResult().getScore()).isPositive();
    assertThat(score(run, "nsys.kernel")).isEqualTo(4, within(1e-9));
    assertThat(score(run, "nsys.kernel.decode_attention")).isEqualTo(3, within(1e-9));
    assertThat(score(run, "nsys.kernel.rms_norm")).isEqualTo(1, within(1e-9));
    assertThat(score(run, "nsys.range.step")).isEqualTo(5, within(1e-9));
    assertThat(score(run, "nsys.range.layers 0-7")).isEqualTo(2.5, within(1e-9));
    assertThat(run.getSecondaryResults()).doesNotContainKey("nsys.range");
    assertThat(run.getSecondaryResults().get("nsys").extendedInfo())
        .contains("75.0 %", "decode_attention<__half, 128>", "50.0 %", ":layers 0-7", ".nsys-rep");
  }

  @Test
  void everyForkHasAReportOfItsOwn() throws Exception {
    nsys.file("cuda_gpu_kern_sum.csv", KERNELS).file("nvtx_sum.csv", RANGES);

    only(jmh("").forks(2).run());

    try (var files = Files.list(reports)) {
      assertThat(files.filter(file -> file.toString().endsWith(".nsys-rep"))).hasSize(2);
    }
  }

  @Test
  void aForkThatOutlivesNsysIsWaitedFor() throws Exception {
    nsys.file("leaves", "").file("cuda_gpu_kern_sum.csv", KERNELS).file("nvtx_sum.csv", RANGES);

    RunResult run = only(jmh("duration=1").measurementSeconds(3).run());

    assertThat(run.getPrimaryResult().getScore()).isPositive();
    assertThat(score(run, "nsys.kernel")).isEqualTo(4, within(1e-9));
  }

  @Test
  void aProgramThatFailsFailsTheBenchmark() throws Exception {
    nsys.file("fails", "");

    assertThat(jmh("").run()).isEmpty();
    assertThatThrownBy(() -> jmh("").failOnError().run()).isInstanceOf(RunnerException.class);
  }

  @Test
  void optionsBecomeArguments() throws Exception {
    List<String> command =
        profiler(
                "trace=cuda",
                "graphs=graph",
                "delay=20",
                "duration=5",
                "args=--gpu-metrics-devices=0 --nvtx-domain-include=\"weir step\"")
            .command("dev.weir.Bench.decode-device-cpu");

    assertThat(command)
        .containsExactly(
            nsys.program().toString(),
            "profile",
            "--trace=cuda",
            "--sample=none",
            "--cpuctxsw=none",
            "--cuda-graph-trace=graph",
            "--delay=20",
            "--duration=5",
            "--kill=none",
            "--gpu-metrics-devices=0",
            "--nvtx-domain-include=weir step",
            "--output=" + reports.resolve("dev.weir.Bench.decode-device-cpu"));
  }

  @Test
  void aReportIsNeverOverwritten() throws Exception {
    NsysProfiler profiler = profiler();
    Files.createDirectories(reports);
    Files.createFile(reports.resolve("run.nsys-rep"));
    Files.createFile(reports.resolve("run-2.qdstrm"));

    assertThat(profiler.command("run").getLast()).isEqualTo("--output=" + reports.resolve("run-3"));
  }

  @Test
  void aMissingProgramIsNamedWithWhatToTurn() {
    assertThatThrownBy(() -> new NsysProfiler("", Map.of("PATH", "/nowhere:/bin/nothing")))
        .isInstanceOf(ProfilerException.class)
        .hasMessageContaining("PATH (/nowhere:/bin/nothing)")
        .hasMessageContaining("-prof nsys:nsys=FILE")
        .hasMessageContaining("WEIR_NSYS=FILE");
    assertThatThrownBy(() -> new NsysProfiler("nsys=/nowhere/nsys", Map.of()))
        .isInstanceOf(ProfilerException.class)
        .hasMessageContaining("nsys=/nowhere/nsys");
    assertThatThrownBy(() -> new NsysProfiler("", Map.of("WEIR_NSYS", "/nowhere/nsys")))
        .isInstanceOf(ProfilerException.class)
        .hasMessageContaining("WEIR_NSYS=/nowhere/nsys");
  }

  @Test
  void isFoundOnThePathAndByTheVariable() throws Exception {
    String folder = nsys.program().getParent().toString();
    String dir = "dir=" + reports;

    assertThat(new NsysProfiler(dir, Map.of("PATH", "/nowhere:" + folder)).command("run"))
        .startsWith(nsys.program().toString());
    assertThat(new NsysProfiler(dir, Map.of("WEIR_NSYS", nsys.program().toString())).command("run"))
        .startsWith(nsys.program().toString());
  }

  @Test
  void wrongOptionsAreRefused() {
    assertThatThrownBy(() -> profiler("colour=red"))
        .isInstanceOf(ProfilerException.class)
        .hasMessageContaining("colour")
        .hasMessageContaining("--delay");
    assertThatThrownBy(() -> profiler("delay=soon")).isInstanceOf(ProfilerException.class);
    assertThatThrownBy(() -> profiler("delay=-1")).hasMessage("delay is -1, must be at least 0");
    assertThatThrownBy(() -> profiler("duration=0"))
        .hasMessage("duration is 0, must be at least 1");
    assertThatThrownBy(() -> profiler("top=0")).hasMessage("top is 0, must be at least 1");
    assertThatThrownBy(() -> profiler("graphs=all"))
        .hasMessage("graphs is all, must be one of node, graph");
    assertThatThrownBy(() -> profiler("help")).hasMessageContaining("--graphs");
  }

  @Test
  void noReportIsSaidWithWhatWasWritten() throws Exception {
    Files.writeString(err, "out of disk\u001b[2J space\n");
    NsysProfiler profiler = profiler();
    profiler.command("run");

    assertThat(text(profiler))
        .contains("left no report " + reports.resolve("run.nsys-rep"))
        .contains("out of disk[2J space");
  }

  @Test
  void aReportThatCouldNotBeMadeIsSaid() throws Exception {
    NsysProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.qdstrm"));

    assertThat(text(profiler))
        .contains("collected " + reports.resolve("run.qdstrm"))
        .contains("importer");
  }

  @Test
  void namesOfOlderVersionsAreTried() throws Exception {
    nsys.file("gpukernsum.csv", KERNELS).file("nvtxppsum.csv", RANGES);
    NsysProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.qdrep"));

    assertThat(text(profiler))
        .contains("Kernels (gpukernsum)")
        .contains("(nvtxppsum, shares are of the longest)")
        .contains("run.qdrep")
        .doesNotContain("ERROR");
  }

  @Test
  void timeOnTheGpuIsShownWhereNsysHasIt() throws Exception {
    nsys.file("cuda_gpu_kern_sum.csv", KERNELS)
        .file("nvtx_sum.csv", RANGES)
        .file(
            "nvtx_gpu_proj_sum.csv",
            """
            Range,Style,Total Proj Time (ns),Total Range Time (ns),Range Instances,Proj Avg (ns),Proj Min (ns),Proj Max (ns)
            :step,PushPop,8000000,5000000,100,80000,70000,90000
            """);
    NsysProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.nsys-rep"));

    assertThat(results(profiler))
        .anySatisfy(
            result -> {
              assertThat(result.getLabel()).isEqualTo("nsys.gpu.step");
              assertThat(result.getScore()).isEqualTo(8, within(1e-9));
            });
  }

  @Test
  void emptyTablesAreSaid() throws Exception {
    nsys.file("cuda_gpu_kern_sum.skipped", "CUDA kernel data")
        .file("nvtx_sum.csv", RANGES.lines().findFirst().orElseThrow() + "\n");
    NsysProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.nsys-rep"));

    List<Result<?>> results = results(profiler);

    assertThat(results).hasSize(1);
    assertThat(results.getFirst().extendedInfo())
        .contains("Kernels: none.", "does not contain CUDA kernel data")
        .contains("nvtx_sum.csv has no rows");
  }

  @Test
  void summariesThatNsysDoesNotKnowAreSaid() throws Exception {
    NsysProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.nsys-rep"));

    assertThat(text(profiler))
        .contains("'nsys stats --report=cuda_gpu_kern_sum': status 1")
        .contains("ERROR: Report 'cuda_gpu_kern_sum' could not be found.")
        .doesNotContain("nvtx_gpu_proj_sum");
  }

  @Test
  void aSummaryOfAnEarlierReportIsNotTakenForThisOnes() throws Exception {
    NsysProfiler profiler = profiler();
    profiler.command("run");
    Files.createFile(reports.resolve("run.nsys-rep"));
    Files.writeString(reports.resolve("run_cuda_gpu_kern_sum.csv"), KERNELS);

    assertThat(text(profiler)).doesNotContain("decode_attention");
  }

  private ChainedRunner jmh(String options) {
    ChainedOptionsBuilder builder =
        new OptionsBuilder()
            .include("NativeCallBenchmark.downcallCritical$")
            .forks(1)
            .jvmArgsPrepend("-Dweir.root=" + System.getProperty("weir.root"))
            .warmupIterations(0)
            .measurementIterations(1)
            .measurementTime(TimeValue.milliseconds(10))
            .verbosity(VerboseMode.SILENT)
            .addProfiler(
                NsysProfiler.class, "nsys=" + nsys.program() + ";dir=" + reports + ";" + options);
    return new ChainedRunner(builder);
  }

  private record ChainedRunner(ChainedOptionsBuilder options) {
    ChainedRunner forks(int forks) {
      options.forks(forks);
      return this;
    }

    ChainedRunner measurementSeconds(int seconds) {
      options.measurementTime(TimeValue.seconds(seconds));
      return this;
    }

    ChainedRunner failOnError() {
      options.shouldFailOnError(true);
      return this;
    }

    Collection<RunResult> run() throws RunnerException {
      return new Runner(options.build()).run();
    }
  }

  private static RunResult only(Collection<RunResult> results) {
    assertThat(results).hasSize(1);
    return results.iterator().next();
  }

  private static double score(RunResult run, String label) {
    assertThat(run.getSecondaryResults()).containsKey(label);
    return run.getSecondaryResults().get(label).getScore();
  }

  private List<Result<?>> results(NsysProfiler profiler) {
    return new ArrayList<>(profiler.results(out.toFile(), err.toFile()));
  }

  private String text(NsysProfiler profiler) {
    return results(profiler).getLast().extendedInfo();
  }
}
