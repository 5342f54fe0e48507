package dev.weir.engine.tokenizer;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.WireFormat;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * What inference needs of a SentencePiece {@code ModelProto} (sentencepiece_model.proto), checked.
 *
 * <p>A {@code tokenizer.model} is parsed and written again instead of being passed on, so native
 * code only ever gets messages that were made here. In particular it never gets a precompiled
 * normalisation map, which it would read without checks; no Llama-family model has one.
 *
 * @param pieces by id
 * @param algorithm how pieces are merged
 * @param byteFallback whether unknown characters become byte pieces
 * @param bos begin-of-sequence id, -1 if there is none
 * @param dummyPrefix whether a space is put in front of the text
 * @param collapseSpaces whether runs of spaces become one
 * @param spaceAsSuffix whether a space ends a word instead of beginning it
 */
record SentencePieceModel(
    List<Piece> pieces,
    Algorithm algorithm,
    boolean byteFallback,
    int bos,
    boolean dummyPrefix,
    boolean collapseSpaces,
    boolean spaceAsSuffix) {

  /** SentencePiece writes a space as U+2581, LOWER ONE EIGHTH BLOCK. */
  static final char SPACE = '\u2581';

  static final int MAX_PIECES = 1 << 22;
  static final int MAX_PIECE_BYTES = 4096;

  /** {@code TrainerSpec.ModelType}. */
  enum Algorithm {
    UNIGRAM(1),
    BPE(2);

    final int number;

    Algorithm(int number) {
      this.number = number;
    }
  }

  /** {@code ModelProto.SentencePiece.Type}. */
  enum PieceType {
    NORMAL(1),
    UNKNOWN(2),
    CONTROL(3),
    USER_DEFINED(4),
    UNUSED(5),
    BYTE(6);

    final int number;

    PieceType(int number) {
      this.number = number;
    }

    static PieceType of(int number) throws IOException {
      for (PieceType type : values()) {
        if (type.number == number) {
          return type;
        }
      }
      throw new IOException("piece type " + number + " is unknown");
    }
  }

  record Piece(String text, float score, PieceType type) {
    Piece {
      if (text.isEmpty() || text.length() > MAX_PIECE_BYTES) {
        throw new TokenizerException(
            "a piece has " + text.length() + " characters, must be 1.." + MAX_PIECE_BYTES);
      }
      if (!Float.isFinite(score)) {
        throw new TokenizerException("the score of a piece is " + score + ", must be finite");
      }
      if (type == PieceType.BYTE && byteValue(text) < 0) {
        throw new TokenizerException("a byte piece is not written as <0x00>..<0xFF>");
      }
    }
  }

  /** The value of {@code <0x00>..<0xFF>}, or -1. */
  static int byteValue(String text) {
    if (text.length() != 6 || !text.startsWith("<0x") || text.charAt(5) != '>') {
      return -1;
    }
    int high = Character.digit(text.charAt(3), 16);
    int low = Character.digit(text.charAt(4), 16);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
  }

  /** Reads a {@code tokenizer.model}. */
  static SentencePieceModel parse(Path file, byte[] content) {
    try {
      return new Parser().model(CodedInputStream.newInstance(content));
    } catch (IOException | TokenizerException e) {
      throw new TokenizerException(
          file + " is not a SentencePiece model that can be used: " + e.getMessage(), e);
    }
  }

  /** The bytes that each piece prints. */
  PieceTable table() {
    byte[][] table = new byte[pieces.size()][];
    for (int id = 0; id < table.length; id++) {
      Piece piece = pieces.get(id);
      table[id] =
          switch (piece.type()) {
            case NORMAL, USER_DEFINED, UNUSED -> piece.text().replace(SPACE, ' ').getBytes(UTF_8);
            case UNKNOWN -> " \u2047 ".getBytes(UTF_8);
            case CONTROL -> null;
            case BYTE -> new byte[] {(byte) byteValue(piece.text())};
          };
    }
    return new PieceTable(table, bos, dummyPrefix);
  }

  /** The {@code ModelProto}. */
  byte[] serialize() {
    try {
      ByteArrayOutputStream bytes = new ByteArrayOutputStream(32 * pieces.size());
      CodedOutputStream out = CodedOutputStream.newInstance(bytes);
      for (Piece piece : pieces) {
        ByteArrayOutputStream message = new ByteArrayOutputStream();
        CodedOutputStream fields = CodedOutputStream.newInstance(message, 64);
        fields.writeString(1, piece.text());
        fields.writeFloat(2, piece.score());
        fields.writeEnum(3, piece.type().number);
        fields.flush();
        out.writeByteArray(1, message.toByteArray());
      }
      ByteArrayOutputStream trainer = new ByteArrayOutputStream();
      CodedOutputStream trainerFields = CodedOutputStream.newInstance(trainer);
      trainerFields.writeEnum(3, algorithm.number);
      trainerFields.writeInt32(4, pieces.size());
      trainerFields.writeBool(24, spaceAsSuffix);
      trainerFields.writeBool(35, byteFallback);
      trainerFields.flush();
      out.writeByteArray(2, trainer.toByteArray());
      ByteArrayOutputStream normalizer = new ByteArrayOutputStream();
      CodedOutputStream normalizerFields = CodedOutputStream.newInstance(normalizer);
      normalizerFields.writeString(1, "identity");
      normalizerFields.writeBool(3, dummyPrefix);
      normalizerFields.writeBool(4, collapseSpaces);
      normalizerFields.writeBool(5, true);
      normalizerFields.flush();
      out.writeByteArray(3, normalizer.toByteArray());
      out.flush();
      return bytes.toByteArray();
    } catch (IOException e) {
      throw new AssertionError("writing to memory failed", e);
    }
  }

  private static final class Parser {
    private final List<Piece> pieces = new ArrayList<>();
    // The defaults of sentencepiece_model.proto.
    private Algorithm algorithm = Algorithm.UNIGRAM;
    private boolean byteFallback;
    private int bos = 1;
    private boolean dummyPrefix = true;
    private boolean collapseSpaces = true;
    private boolean spaceAsSuffix;

    SentencePieceModel model(CodedInputStream in) throws IOException {
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        switch (WireFormat.getTagFieldNumber(tag)) {
          case 1 -> message(in, tag, this::piece);
          case 2 -> message(in, tag, this::trainer);
          case 3 -> message(in, tag, this::normalizer);
          case 5 -> message(in, tag, this::denormalizer);
          default -> in.skipField(tag);
        }
      }
      if (pieces.isEmpty()) {
        throw new IOException("it has no pieces");
      }
      boolean hasBos =
          bos >= 0 && bos < pieces.size() && pieces.get(bos).type() == PieceType.CONTROL;
      return new SentencePieceModel(
          List.copyOf(pieces),
          algorithm,
          byteFallback,
          hasBos ? bos : -1,
          dummyPrefix,
          collapseSpaces,
          spaceAsSuffix);
    }

    private interface MessageReader {
      void read(CodedInputStream in) throws IOException;
    }

    private static void message(CodedInputStream in, int tag, MessageReader reader)
        throws IOException {
      expect(tag, WireFormat.WIRETYPE_LENGTH_DELIMITED);
      int limit = in.pushLimit(in.readRawVarint32());
      reader.read(in);
      in.checkLastTagWas(0);
      in.popLimit(limit);
    }

    private void piece(CodedInputStream in) throws IOException {
      if (pieces.size() == MAX_PIECES) {
        throw new IOException("it has more than " + MAX_PIECES + " pieces");
      }
      String text = "";
      float score = 0;
      PieceType type = PieceType.NORMAL;
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        switch (WireFormat.getTagFieldNumber(tag)) {
          case 1 -> {
            expect(tag, WireFormat.WIRETYPE_LENGTH_DELIMITED);
            text = in.readStringRequireUtf8();
          }
          case 2 -> {
            expect(tag, WireFormat.WIRETYPE_FIXED32);
            score = in.readFloat();
          }
          case 3 -> type = PieceType.of(varint(in, tag));
          default -> in.skipField(tag);
        }
      }
      pieces.add(new Piece(text, score, type));
    }

    private void trainer(CodedInputStream in) throws IOException {
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        switch (WireFormat.getTagFieldNumber(tag)) {
          case 3 ->
              algorithm =
                  switch (varint(in, tag)) {
                    case 1 -> Algorithm.UNIGRAM;
                    case 2 -> Algorithm.BPE;
                    default ->
                        throw new IOException("only its BPE and unigram models are supported");
                  };
          case 24 -> spaceAsSuffix = varint(in, tag) != 0;
          case 35 -> byteFallback = varint(in, tag) != 0;
          case 41 -> bos = varint(in, tag);
          default -> in.skipField(tag);
        }
      }
    }

    private void normalizer(CodedInputStream in) throws IOException {
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        switch (WireFormat.getTagFieldNumber(tag)) {
          case 2 -> noNormalizationMap(in, tag);
          case 3 -> dummyPrefix = varint(in, tag) != 0;
          case 4 -> collapseSpaces = varint(in, tag) != 0;
          case 5 -> {
            if (varint(in, tag) == 0) {
              throw new IOException("escape_whitespaces=false is not supported");
            }
          }
          default -> in.skipField(tag);
        }
      }
    }

    private void denormalizer(CodedInputStream in) throws IOException {
      for (int tag = in.readTag(); tag != 0; tag = in.readTag()) {
        if (WireFormat.getTagFieldNumber(tag) == 2) {
          noNormalizationMap(in, tag);
        } else {
          in.skipField(tag);
        }
      }
    }

    private static void noNormalizationMap(CodedInputStream in, int tag) throws IOException {
      expect(tag, WireFormat.WIRETYPE_LENGTH_DELIMITED);
      if (in.readByteArray().length > 0) {
        throw new IOException("normalisation rules other than 'identity' are not supported");
      }
    }

    private static int varint(CodedInputStream in, int tag) throws IOException {
      expect(tag, WireFormat.WIRETYPE_VARINT);
      return in.readRawVarint32();
    }

    private static void expect(int tag, int wireType) throws IOException {
      if (WireFormat.getTagWireType(tag) != wireType) {
        throw new IOException(
            "field "
                + WireFormat.getTagFieldNumber(tag)
                + " has wire type "
                + WireFormat.getTagWireType(tag));
      }
    }
  }
}
