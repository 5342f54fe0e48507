package dev.weir.simulation;

import de.siegmar.fastcsv.reader.CsvReader;
import de.siegmar.fastcsv.reader.NamedCsvRecord;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.zip.GZIPInputStream;

/**
 * Llama-2-7B on an A100-80GB, from the operator profiles of Microsoft's simulator Vidur: the sum
 * over 32 layers of
 *
 * <ul>
 *   <li>all operators whose time depends on the number of tokens, rounded up to a multiple of 8;
 *   <li>the attention of decoding requests, by their number and their mean context, rounded up to a
 *       multiple of 64;
 *   <li>the attention of prefilling requests, by the sum of their cached tokens, each rounded up to
 *       a multiple of 64, and the root of the sum of their squared chunks, rounded to even.
 * </ul>
 *
 * <p>The tables end at 4,096 tokens and 129 decoding requests. Beyond, ours: operators grow in
 * proportion to tokens, decoding attention to the context (not to the number of requests, as the
 * table is flat at its end), prefilling attention to the pairs of tokens.
 *
 * <p>Immutable.
 */
public final class ProfileIterationTime implements IterationTime {
  private static final String FOLDER = "a100-llama-2-7b-profile/";
  private static final int LAYERS = 32;
  private static final int TOKEN_GRID = 8;
  private static final int MAX_TOKENS = 4096;
  private static final int KV_ROWS = MAX_TOKENS / BatchShape.KV_GRID + 1;
  private static final int MAX_DECODES = 129;
  private static final double SECONDS_PER_MS = 1e-3;

  /** By rounded tokens / 8; milliseconds per layer, as all of them. */
  private final double[] operators;

  /** By requests - 1 and context / 64. */
  private final double[] decode;

  /** By cached tokens / 64, then chunk - 1. */
  private final double[] prefill;

  private ProfileIterationTime(double[] operators, double[] decode, double[] prefill) {
    this.operators = operators;
    this.decode = decode;
    this.prefill = prefill;
  }

  /** Reads the tables, which are part of this library. */
  public static ProfileIterationTime a100Llama2() {
    double[] operators = new double[MAX_TOKENS / TOKEN_GRID + 1];
    double[] decode = new double[MAX_DECODES * KV_ROWS];
    double[] prefill = new double[KV_ROWS * MAX_TOKENS];
    read(
        "linear_ops.csv.gz",
        row -> {
          double sum = 0;
          List<String> fields = row.getFields();
          for (int i = 1; i < fields.size(); i++) {
            sum += Double.parseDouble(fields.get(i));
          }
          operators[number(row, 0) / TOKEN_GRID] = sum;
        });
    read(
        "attn_decode.csv.gz",
        row ->
            decode[(number(row, 0) - 1) * KV_ROWS + number(row, 1) / BatchShape.KV_GRID] =
                Double.parseDouble(row.getField(2)));
    read(
        "attn_prefill.csv.gz",
        row -> {
          int base = number(row, 0) / BatchShape.KV_GRID * MAX_TOKENS;
          for (int chunk = number(row, 1); chunk <= number(row, 2); chunk++) {
            prefill[base + chunk - 1] = Double.parseDouble(row.getField(3));
          }
        });
    return new ProfileIterationTime(operators, decode, prefill);
  }

  private interface RowReader {
    void read(NamedCsvRecord row);
  }

  private static int number(NamedCsvRecord row, int column) {
    return Integer.parseInt(row.getField(column));
  }

  private static void read(String file, RowReader reader) {
    try (InputStream stream = ProfileIterationTime.class.getResourceAsStream(FOLDER + file);
        Reader text =
            new InputStreamReader(new GZIPInputStream(stream), StandardCharsets.US_ASCII);
        CsvReader<NamedCsvRecord> rows = CsvReader.builder().ofNamedCsvRecord(text)) {
      rows.forEach(reader::read);
    } catch (IOException e) {
      throw new UncheckedIOException("the profile " + file + " of this library is damaged", e);
    }
  }

  @Override
  public double seconds(BatchShape batch) {
    double perLayer = operators(batch.tokens());
    if (batch.decodes() > 0) {
      perLayer += decode(batch.decodes(), batch.decodeContext() / batch.decodes());
    }
    if (batch.prefills() > 0) {
      perLayer +=
          prefill(batch.prefillCachedOnGrid(), Math.rint(Math.sqrt(batch.prefillSquares())));
    }
    return LAYERS * perLayer * SECONDS_PER_MS;
  }

  private double operators(int tokens) {
    int row = (tokens + TOKEN_GRID - 1) / TOKEN_GRID;
    int last = operators.length - 1;
    return row <= last ? operators[row] : operators[last] * row / last;
  }

  private double decode(int requests, long context) {
    int base = (Math.min(requests, MAX_DECODES) - 1) * KV_ROWS;
    long row = (context + BatchShape.KV_GRID - 1) / BatchShape.KV_GRID;
    int last = KV_ROWS - 1;
    return row <= last ? decode[base + (int) row] : decode[base + last] * row / last;
  }

  private double prefill(long cached, double chunk) {
    int knownCached = (int) Math.min(cached, MAX_TOKENS);
    int knownChunk = (int) Math.min(chunk, MAX_TOKENS);
    double known = prefill[knownCached / BatchShape.KV_GRID * MAX_TOKENS + knownChunk - 1];
    if (knownCached == cached && knownChunk == chunk) {
      return known;
    }
    return known * pairs(cached, chunk) / pairs(knownCached, knownChunk);
  }

  private static double pairs(double cached, double chunk) {
    return chunk * (cached + chunk / 2);
  }
}
