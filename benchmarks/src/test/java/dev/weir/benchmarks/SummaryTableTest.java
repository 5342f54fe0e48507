package dev.weir.benchmarks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.entry;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SummaryTableTest {
  private static final String HEADER =
      "Time (%),Total Time (ns),Instances,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name\n";

  @TempDir Path folder;

  private SummaryTable read(String csv) throws IOException {
    return SummaryTable.read(Files.writeString(folder.resolve("table.csv"), csv));
  }

  @Test
  void readsASummaryOfKernels() throws IOException {
    SummaryTable table =
        read(HEADER + "10,100,2,50,50,40,60,1,small\n90,900,3,300,300,200,400,1,\"large(a, b)\"\n");

    assertThat(table.rows())
        .containsExactly(
            new SummaryTable.Row("large(a, b)", 900, 3, 200, 400),
            new SummaryTable.Row("small", 100, 2, 40, 60));
    assertThat(table.total()).isEqualTo(1000);
    assertThat(table.rows().getFirst().mean()).isEqualTo(300);
    assertThat(table.unreadable()).isZero();
  }

  @Test
  void readsTheHeadersOfOtherVersions() throws IOException {
    SummaryTable old =
        read(
            "Time(%),Total Time (ns),Instances,Average,Minimum,Maximum,StdDev,Name\n1,8,2,4,3,5,0,k\n");
    assertThat(old.rows()).containsExactly(new SummaryTable.Row("k", 8, 2, 3, 5));

    SummaryTable projection =
        read("\uFEFFRange,Style,Total Proj Time (ns),Range Instances\r\n:step,PushPop,8,2\r\n");
    assertThat(projection.rows())
        .containsExactly(new SummaryTable.Row(":step", 8, 2, Double.NaN, Double.NaN));
    assertThat(projection.text(1, 8)).contains(":step");
  }

  @Test
  void passesOverWhatComesBeforeTheHeader() throws IOException {
    SummaryTable table =
        read("Processing [x.sqlite] with [y.py]...\n\n" + HEADER + "1,8,2,4,4,3,5,0,k\n");

    assertThat(table.rows()).hasSize(1);
    assertThat(table.unreadable()).isEqualTo(1);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "1,-8,2,4,4,3,5,0,k",
        "1,NaN,2,4,4,3,5,0,k",
        "1,Infinity,2,4,4,3,5,0,k",
        "1,1e999,2,4,4,3,5,0,k",
        "1,many,2,4,4,3,5,0,k",
        "1,8,0,4,4,3,5,0,k",
        "1,8,2.5,4,4,3,5,0,k",
        "1,8,1e300,4,4,3,5,0,k",
        "1,8,2,4,4,3,5,0,",
        "1,8,2,4,4,3,5,0,\"\u001b\u202e\"",
        "1,8",
        "k"
      })
  void countsLinesThatAreNoRows(String line) throws IOException {
    SummaryTable table = read(HEADER + "1,8,2,4,4,3,5,0,good\n" + line + "\n");

    assertThat(table.rows()).extracting(SummaryTable.Row::name).containsExactly("good");
    assertThat(table.unreadable()).isEqualTo(1);
    assertThat(table.text(5, 8)).contains("1 lines could not be read");
  }

  @Test
  void keepsWhatComesBeforeAQuoteThatNeverEnds() throws IOException {
    SummaryTable table =
        read(HEADER + "1,8,2,4,4,3,5,0,good\n1,8,2,4,4,3,5,0,\"" + "x,\n".repeat(20_000_000 / 3));

    assertThat(table.rows()).extracting(SummaryTable.Row::name).contains("good");
  }

  @Test
  void printsNoControlCharacters() throws IOException {
    SummaryTable table =
        read(HEADER + "1,8,2,4,4,3,5,0,\"\u001b[31mred\u0007\nnext\u202egpj\u0085\u2028\"\n");

    assertThat(table.rows().getFirst().name()).isEqualTo("[31mred nextgpj");
    assertThat(table.text(1, 8)).hasLineCount(2).doesNotContain("\u001b", "\u202e", "\u2028");
  }

  @Test
  void bytesThatAreNotUtf8AreNoFailure() throws IOException {
    Path csv = folder.resolve("table.csv");
    byte[] bytes = (HEADER + "1,8,2,4,4,3,5,0,k~~\n").getBytes(StandardCharsets.ISO_8859_1);
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = bytes[i] == '~' ? (byte) 0xff : bytes[i];
    }

    assertThat(SummaryTable.read(Files.write(csv, bytes)).rows()).hasSize(1);
  }

  @Test
  void aFileWithoutATableHasNoRows() throws IOException {
    assertThat(read("").rows()).isEmpty();
    assertThat(read(HEADER).rows()).isEmpty();
    assertThat(read("a,b\n1,2\n").rows()).isEmpty();
    assertThat(read("a,b\n1,2\n").unreadable()).isEqualTo(2);
  }

  @Test
  void aFileThatIsTooLargeIsRefused() throws IOException {
    Path csv = folder.resolve("table.csv");
    try (RandomAccessFile file = new RandomAccessFile(csv.toFile(), "rw")) {
      file.setLength((64L << 20) + 1);
    }

    assertThatThrownBy(() -> SummaryTable.read(csv))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("table.csv");
  }

  @Test
  void showsTheLargestAndTheSumOfTheRest() throws IOException {
    SummaryTable table =
        read(
            HEADER + "0,7000000,1,0,0,0,0,0,a\n0,2000000,1,0,0,0,0,0,b\n0,1000000,1,0,0,0,0,0,c\n");

    assertThat(table.text(1, table.total()).lines())
        .hasSize(3)
        .anySatisfy(line -> assertThat(line).contains("70.0 %", "7.000", " a"))
        .anySatisfy(line -> assertThat(line).contains("30.0 %", "3.000", "2 more"));
  }

  @Test
  void rowsThatTookNoTimeHaveNoShare() throws IOException {
    assertThat(read(HEADER + "0,0,1,0,0,0,0,0,a\n").text(1, 0)).contains("0.0 %");
  }

  @Test
  void instantiationsOfAKernelCountTogether() throws IOException {
    SummaryTable table =
        read(
            HEADER
                + "0,1,1,0,0,0,0,0,void scale<float>(float*)\n"
                + "0,5,1,0,0,0,0,0,other\n"
                + "0,6,1,0,0,0,0,0,void scale<__half>(__half*)\n");

    assertThat(table.totals(SummaryTable::baseName))
        .containsExactly(entry("scale", 7.0), entry("other", 5.0));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "void weir::cuda::decode_attention<__half, (int)128>(const __half *) | decode_attention",
        "weir::scale(float*) | scale",
        "void (anonymous namespace)::copy<int>(int*) | copy",
        "nvjet_hsh_128x256_64x4_1x2_h_bz_TNN | nvjet_hsh_128x256_64x4_1x2_h_bz_TNN",
        "<unnamed>::gather(int) | gather",
        "(odd) | (odd)",
        ":< | :<"
      })
  void namesKernelsShortly(String name, String base) {
    assertThat(SummaryTable.baseName(name)).isEqualTo(base);
  }

  @Test
  void shortensNamesOfTemplates() throws IOException {
    SummaryTable table = read(HEADER + "0,1,1,0,0,0,0,0,k<" + "x".repeat(5000) + ">\n");

    assertThat(table.text(1, 1).lines()).allSatisfy(line -> assertThat(line).hasSizeLessThan(200));
  }
}
