package dev.weir.simulation;

import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** Vidur's golden runs: those that may be shipped, and the rest if it lies beside the project. */
final class Golden {
  static final Path SHARED =
      Path.of(System.getProperty("weir.root"), "../shared/data/golden/workloads");

  private Golden() {}

  static boolean has(String name) {
    return Golden.class.getResource("/golden/" + name + ".gz") != null
        || Files.exists(SHARED.resolve(name));
  }

  static List<NamedCsvRecord> rows(String name) throws IOException {
    try (Reader reader = open(name);
        CsvReader<NamedCsvRecord> csv = CsvReader.builder().ofNamedCsvRecord(reader)) {
      return csv.stream().toList();
    }
  }

  private static Reader open(String name) throws IOException {
    InputStream packed = Golden.class.getResourceAsStream("/golden/" + name + ".gz");
    return packed == null
        ? Files.newBufferedReader(SHARED.resolve(name))
        : new InputStreamReader(new GZIPInputStream(packed), StandardCharsets.US_ASCII);
  }
}
