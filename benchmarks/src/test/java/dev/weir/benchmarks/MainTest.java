package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.openjdk.jmh.runner.options.CommandLineOptions;

class MainTest {
  @Test
  void profilersOfOursGoByShortNames() throws Exception {
    String[] args = Main.toJmh(new String[] {"Step", "-prof", "nsys:delay=3;top=2", "-prof", "gc"});

    assertThat(args)
        .containsExactly(
            "Step", "-prof", "dev.weir.benchmarks.NsysProfiler:delay=3;top=2", "-prof", "gc");
    assertThat(new CommandLineOptions(args).getProfilers())
        .anySatisfy(
            profiler -> {
              assertThat(profiler.getKlass()).isEqualTo(NsysProfiler.class.getName());
              assertThat(profiler.getOpts()).isEqualTo("delay=3;top=2");
            });
    assertThat(Main.toJmh(new String[] {"-prof", "nsys"}))
        .containsExactly("-prof", NsysProfiler.class.getName());
    assertThat(Main.toJmh(new String[] {"-prof", "ncu:count=2"}))
        .containsExactly("-prof", "dev.weir.benchmarks.NcuProfiler:count=2");
    assertThat(Main.toJmh(new String[] {"-prof"})).containsExactly("-prof");
  }

  @Test
  void aDeviceIsAParameter() throws Exception {
    String[] args = Main.toJmh(new String[] {"--device", "cuda:1", "-p", "layers=0"});

    assertThat(args).containsExactly("-p", "device=cuda:1", "-p", "layers=0");
    CommandLineOptions options = new CommandLineOptions(args);
    assertThat(options.getParameter("device").get()).containsExactly("cuda:1");
    assertThat(options.getParameter("layers").get()).containsExactly("0");
    assertThat(Main.toJmh(new String[] {"--device=cuda"})).containsExactly("-p", "device=cuda");
    assertThatThrownBy(() -> Main.toJmh(new String[] {"--device"}))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void everythingElseIsJmhs() {
    String[] args = {"nsys", "-p", "prof=nsys", "-rf", "json", "--", "device"};

    assertThat(Main.toJmh(args)).containsExactly(args);
  }
}
