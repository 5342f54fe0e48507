package dev.weir.engine.tokenizer;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import java.io.IOException;
import java.io.StringReader;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * What decoding needs of a {@code tokenizer.json}, read by a streaming parser that also refuses
 * what native code should not be given: nesting deeper than {@value #MAX_DEPTH}, huge ids, very
 * long strings.
 */
final class TokenizerJson {
  static final int MAX_DEPTH = 64;
  private static final int MAX_STRING = 4096;

  private final Path file;
  private final String text;

  private final Map<Integer, String> vocabulary = new HashMap<>();
  private final List<AddedToken> addedTokens = new ArrayList<>();
  private boolean byteFallback;
  private boolean byteLevel;
  private boolean stripsPrefix;
  private int highestId = -1;

  private record AddedToken(int id, String content, boolean special) {}

  private interface FieldReader {
    void read(String name) throws IOException;
  }

  private TokenizerJson(Path file, String text) {
    this.file = file;
    this.text = text;
  }

  static TokenizerJson parse(Path file, byte[] content) {
    String text;
    try {
      text = UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
    } catch (CharacterCodingException e) {
      throw new TokenizerException(file + " is not UTF-8", e);
    }
    TokenizerJson json = new TokenizerJson(file, text);
    try (JsonReader in = new JsonReader(new StringReader(text))) {
      in.setStrictness(Strictness.STRICT);
      in.setNestingLimit(MAX_DEPTH);
      json.root(in);
      if (in.peek() != JsonToken.END_DOCUMENT) {
        throw new IOException("something follows the closing brace");
      }
    } catch (IOException | IllegalStateException | NumberFormatException e) {
      throw new TokenizerException(
          file + " is not a tokenizer.json that can be used: " + e.getMessage(), e);
    }
    if (json.vocabulary.isEmpty()) {
      throw new TokenizerException(file + " has no model.vocab");
    }
    return json;
  }

  /** The file, as native code reads it. */
  String text() {
    return text;
  }

  /** The bytes that each token prints. */
  PieceTable table() {
    Function<String, byte[]> bytes = byteLevel ? ByteLevel::bytes : this::spacedBytes;
    byte[][] table = new byte[highestId + 1][];
    vocabulary.forEach((id, piece) -> table[id] = bytes.apply(piece));
    int longest = PieceTable.longest(table);
    for (AddedToken token : addedTokens) {
      longest = Math.max(longest, token.content().length());
      table[token.id()] = token.special() ? null : token.content().getBytes(UTF_8);
    }
    return new PieceTable(table, -1, stripsPrefix, longest);
  }

  private byte[] spacedBytes(String piece) {
    int value = byteFallback ? SentencePieceModel.byteValue(piece) : -1;
    return value >= 0
        ? new byte[] {(byte) value}
        : piece.replace(SentencePieceModel.SPACE, ' ').getBytes(UTF_8);
  }

  private void root(JsonReader in) throws IOException {
    object(
        in,
        name -> {
          switch (name) {
            case "added_tokens" -> array(in, () -> addedToken(in));
            case "model" -> model(in);
            case "decoder" -> decoder(in);
            default -> check(in);
          }
        });
  }

  private void addedToken(JsonReader in) throws IOException {
    int[] id = {-1};
    String[] content = {""};
    boolean[] special = {false};
    object(
        in,
        name -> {
          switch (name) {
            case "id" -> id[0] = id(in);
            case "content" -> content[0] = string(in);
            case "special" -> special[0] = in.nextBoolean();
            default -> check(in);
          }
        });
    if (id[0] < 0) {
      throw new IOException("an added token has no id");
    }
    addedTokens.add(new AddedToken(id[0], content[0], special[0]));
  }

  private void model(JsonReader in) throws IOException {
    object(
        in,
        name -> {
          if (name.equals("vocab") && in.peek() == JsonToken.BEGIN_OBJECT) {
            object(in, piece -> vocabulary.put(id(in), piece));
          } else if (name.equals("vocab") && in.peek() == JsonToken.BEGIN_ARRAY) {
            // A unigram model: [piece, score], the id is the index.
            array(
                in,
                () -> {
                  in.beginArray();
                  highestId = Math.max(highestId, vocabulary.size());
                  vocabulary.put(vocabulary.size(), string(in));
                  in.nextDouble();
                  in.endArray();
                });
          } else {
            check(in);
          }
        });
  }

  private void decoder(JsonReader in) throws IOException {
    if (in.peek() == JsonToken.NULL) {
      in.nextNull();
      return;
    }
    String[] type = {""};
    Map<String, String> settings = new HashMap<>();
    object(
        in,
        name -> {
          switch (name) {
            case "type" -> type[0] = string(in);
            case "decoders" -> array(in, () -> decoder(in));
            default -> {
              switch (in.peek()) {
                case STRING, NUMBER -> settings.put(name, string(in));
                case BOOLEAN -> settings.put(name, Boolean.toString(in.nextBoolean()));
                case BEGIN_ARRAY, BEGIN_OBJECT, NULL, NAME, END_ARRAY, END_OBJECT, END_DOCUMENT ->
                    check(in);
              }
            }
          }
        });
    switch (type[0]) {
      case "Sequence", "Fuse" -> {}
      case "Replace" -> {
        String content = settings.getOrDefault("content", "");
        if (!content.equals(" ")) {
          throw new IOException("a decoder that replaces by '" + content + "' is not supported");
        }
      }
      case "ByteFallback" -> byteFallback = true;
      case "ByteLevel" -> byteLevel = true;
      case "Strip" -> stripsPrefix = !settings.getOrDefault("start", "0").equals("0");
      case "Metaspace" ->
          stripsPrefix =
              !settings.getOrDefault("prepend_scheme", "always").equals("never")
                  && !settings.getOrDefault("add_prefix_space", "true").equals("false");
      default -> throw new IOException("its decoder '" + type[0] + "' is not supported");
    }
  }

  private int id(JsonReader in) throws IOException {
    int id = in.nextInt();
    if (id < 0 || id >= SentencePieceModel.MAX_PIECES) {
      throw new IOException(
          "token id "
              + id
              + " at "
              + in.getPath()
              + " is not in 0.."
              + (SentencePieceModel.MAX_PIECES - 1));
    }
    highestId = Math.max(highestId, id);
    return id;
  }

  private static void object(JsonReader in, FieldReader field) throws IOException {
    in.beginObject();
    while (in.hasNext()) {
      field.read(shortEnough(in.nextName()));
    }
    in.endObject();
  }

  private interface ElementReader {
    void read() throws IOException;
  }

  private static void array(JsonReader in, ElementReader element) throws IOException {
    in.beginArray();
    while (in.hasNext()) {
      element.read();
    }
    in.endArray();
  }

  /** Reads over a value of any kind. */
  private static void check(JsonReader in) throws IOException {
    switch (in.peek()) {
      case BEGIN_OBJECT -> object(in, _ -> check(in));
      case BEGIN_ARRAY -> array(in, () -> check(in));
      case STRING, NUMBER -> string(in);
      case BOOLEAN, NULL, NAME, END_ARRAY, END_OBJECT, END_DOCUMENT -> in.skipValue();
    }
  }

  private static String string(JsonReader in) throws IOException {
    return shortEnough(in.nextString());
  }

  private static String shortEnough(String string) throws IOException {
    if (string.length() > MAX_STRING) {
      throw new IOException(
          "a string has " + string.length() + " characters, more than " + MAX_STRING);
    }
    return string;
  }
}
