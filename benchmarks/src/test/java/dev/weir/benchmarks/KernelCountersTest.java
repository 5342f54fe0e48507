package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class KernelCountersTest {
  private static final String HEADER =
      "\"ID\",\"Kernel Name\",\"dram__bytes_read.sum\",\"dram__bytes_write.sum\","
          + "\"dram__throughput.avg.pct_of_peak_sustained_elapsed\",\"gpu__time_duration.sum\","
          + "\"launch__registers_per_thread\"\n"
          + "\"\",\"\",\"byte\",\"byte\",\"%\",\"nsecond\",\"register/thread\"\n";

  @TempDir Path folder;

  private KernelCounters read(String csv) throws IOException {
    return KernelCounters.read(Files.writeString(folder.resolve("raw.csv"), csv));
  }

  @Test
  void takesTheMeansOfAKernelsLaunches() throws IOException {
    KernelCounters counters =
        read(
            HEADER
                + "0,short,10,10,5,10,16\n"
                + "1,long,3000,1000,80,\"1,000\",64\n"
                + "2,long,5000,1000,90,\"3,000\",64\n");

    assertThat(counters.unreadable()).isZero();
    assertThat(counters.kernels())
        .extracting(KernelCounters.Kernel::name)
        .containsExactly("long", "short");
    KernelCounters.Kernel kernel = counters.kernels().getFirst();
    assertThat(kernel.launches()).isEqualTo(2);
    assertThat(kernel.meanNanoseconds()).isEqualTo(2000);
    assertThat(kernel.bytes()).isEqualTo(5000);
    assertThat(kernel.bandwidth()).isEqualTo(2.5e9);
    assertThat(kernel.memory()).isEqualTo(85);
    assertThat(kernel.registers()).isEqualTo(64);
    assertThat(kernel.compute()).isNaN();
  }

  @Test
  void linesBeforeTheHeaderAreCounted() throws IOException {
    KernelCounters counters = read("==PROF== Connected\n" + HEADER + "0,k,1,1,1,10,16\n");

    assertThat(counters.kernels()).hasSize(1);
    assertThat(counters.unreadable()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"1,k,1,1,1,0,1", "1,k,1,1,1,-4,1", "1,k,1,1,1,soon,1", "1,k", "1,,1,1,1,4,1"})
  void countsLinesThatAreNoLaunches(String line) throws IOException {
    KernelCounters counters = read(HEADER + "0,good,1,1,1,10,16\n" + line + "\n");

    assertThat(counters.kernels()).extracting(KernelCounters.Kernel::name).containsExactly("good");
    assertThat(counters.unreadable()).isEqualTo(1);
    assertThat(counters.text(5)).contains("1 lines could not be read");
  }

  @Test
  void whatTheReportDoesNotSayIsLeftOut() throws IOException {
    KernelCounters counters =
        read("Kernel Name,gpu__time_duration.sum\n\"k\u001b[1m<int>\",2000\nother,1\n");

    assertThat(counters.text(1).lines())
        .hasSize(3)
        .anySatisfy(line -> assertThat(line).contains("2.000", "k[1m<int>"))
        .anySatisfy(line -> assertThat(line).contains("1 more"))
        .noneSatisfy(line -> assertThat(line).contains("NaN"));
  }

  @Test
  void aFileWithoutATableHasNoKernels() throws IOException {
    assertThat(read("").kernels()).isEmpty();
    assertThat(read("Kernel Name\nk\n").kernels()).isEmpty();
  }
}
