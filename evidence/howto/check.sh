#: setup
LC_ALL=C
export LC_ALL
set -fu
unset IFS
trusted=${1-}
work=${WORK:-..}/guia-check
bad=0
newline='
'
say() { printf '%s\n' "$1"; }
differs() { bad=$((bad + 1)); printf 'DIFFERS: %s\n' "$1"; }

#: bytes
alphabet=ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/
from_base64() {
  bytes=
  todo=$1
  while [ -n "$todo" ]; do
    rest=${todo#????}
    four=${todo%"$rest"}
    if [ "$four" = "" ]; then bytes=; return; fi
    todo=$rest
    a=${four%???}; four=${four#?}
    b=${four%??}; four=${four#?}
    c=${four%?}; d=${four#?}
    a=${alphabet%%"$a"*}; b=${alphabet%%"$b"*}; c=${alphabet%%"$c"*}; d=${alphabet%%"$d"*}
    n=$((${#a} << 18 | ${#b} << 12 | (${#c} & 63) << 6 | (${#d} & 63)))
    bytes="$bytes\\$((n >> 22 & 3))$((n >> 19 & 7))$((n >> 16 & 7))\\$((n >> 14 & 3))$((n >> 11 & 7))$((n >> 8 & 7))\\$((n >> 6 & 3))$((n >> 3 & 7))$((n & 7))"
  done
  case $1 in
  *==) bytes=${bytes%????????} ;;
  *=) bytes=${bytes%????} ;;
  esac
}
from_hex() {
  bytes=
  todo=$1
  while [ -n "$todo" ]; do
    rest=${todo#??}
    n=$((0x${todo%"$rest"}))
    bytes="$bytes\\$((n >> 6))$((n >> 3 & 7))$((n & 7))"
    todo=$rest
  done
}
is_number() {
  case $1 in
  '' | *[!0-9]* | 0?* | ????????????????*) return 1 ;;
  esac
}
is_hex() {
  case $1 in
  *[!0-9a-f]*) return 1 ;;
  esac
  [ ${#1} -eq "$2" ]
}
node() {
  hash=$(printf "\\001$1$2" | sha256sum)
  from_hex "${hash%% *}"
  r=$bytes
}

#: listing
sha256sum -c SHA256SUMS || differs 'a file is not the one that SHA256SUMS lists'
sums=$newline
while IFS= read -r line; do sums=$sums$line$newline; done < SHA256SUMS
set +f
for file in * .[!.]* */* */.[!.]* */*/*; do
  if [ ! -e "$file" ] || [ -d "$file" ]; then continue; fi
  case $file in
  SHA256SUMS | META-INF/ASiCManifest001.xml | META-INF/manifest.note | META-INF/timestamp001.tst | META-INF/signature001.p7s) continue ;;
  esac
  case $sums in
  *"  $file$newline"*) ;;
  *) differs "$file is not listed" ;;
  esac
done
set -f
manifest=$newline
while IFS= read -r line; do
  case $line in
  '<asic:DataObjectReference URI="'*) ;;
  *) continue ;;
  esac
  IFS='"'; set -- $line; unset IFS
  name=$2
  manifest=$manifest$name$newline
  value=${line#*<ds:DigestValue>}
  from_base64 "${value%%<*}"
  value=$bytes
  if [ "$name" = SHA256SUMS ]; then
    hash=$(sha256sum < SHA256SUMS)
  else
    hash=${sums%%"  $name$newline"*}
    hash=${hash##*"$newline"}
  fi
  if is_hex "${hash%% *}" 64; then from_hex "${hash%% *}"; else bytes=; fi
  [ "$bytes" = "$value" ] || differs "the manifest has another digest of $name"
done < META-INF/ASiCManifest001.xml
for name in $sums SHA256SUMS; do
  if [ "$name" = mimetype ] || is_hex "$name" 64; then continue; fi
  case $manifest in
  *"$newline$name$newline"*) ;;
  *) differs "the manifest does not list $name" ;;
  esac
done

#: signature
dash=$(printf '\342\200\224')
use_key() {
  vkey=$1
  origin=${vkey%%+*}
  id=${vkey#*+}
  from_base64 "${id#*+}"
  id=${id%%+*}
  hash=$({ printf '%s\n' "$origin"; printf "$bytes"; } | sha256sum)
  if [ "${hash%"${hash#????????}"}" != "$id" ] || [ "${bytes%"${bytes#????}"}" != '\001' ] || [ ${#bytes} -ne 132 ]; then
    differs "the verifier key is damaged: $vkey"
    id=00000000
  fi
  printf "\060\052\060\005\006\003\053\145\160\003\041\000${bytes#????}" > "$work.key"
  from_hex "$id"
  id=$bytes
}
signed_by_key() {
  text=
  good=1
  {
    while IFS= read -r line && [ -n "$line" ]; do text=$text$line$newline; done
    while IFS= read -r line; do
      case $line in
      "$dash $origin "*) ;;
      *) continue ;;
      esac
      from_base64 "${line##* }"
      [ "${bytes#"$id"}" != "$bytes" ] || continue
      printf '%s' "$text" > "$work.signed"
      printf "${bytes#????????????????}" > "$work.signature"
      openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$work.key" -in "$work.signed" -sigfile "$work.signature" > /dev/null 2>&1 && good=0
    done
  } < "$1"
  return $good
}

#: keys
IFS= read -r signer < keys/log.vkey
key=
keys=
before=-1
turn=1
while [ -e "keys/rotation-$turn" ]; do
  {
    IFS= read -r head; read -r word origin; read -r word old; read -r word new; read -r word until
  } < "keys/rotation-$turn"
  [ -n "$key" ] || key=$old
  use_key "$key"
  if signed_by_key "keys/rotation-$turn" && [ "$head" = guia.rotation/v1 ] && [ "$old" = "$key" ] && is_number "$until" && [ "$until" -gt "$before" ]; then
    say "OK: keys/rotation-$turn"
  else
    differs "keys/rotation-$turn does not lead from the key before it"
    until=0
  fi
  keys="$keys$old $until "
  before=$until
  key=$new
  turn=$((turn + 1))
done
[ -n "$key" ] || key=$signer
keys=$keys$key
[ "$key" = "$signer" ] || differs 'the changes of key do not lead to keys/log.vkey'
key_for() {
  wanted=$1
  set -- $keys
  while [ $# -gt 1 ] && [ "$wanted" -gt "$2" ]; do shift 2; done
  use_key "$1"
}
use_key "$signer"
pem=
while IFS= read -r line; do pem=$pem$line$newline; done < keys/log.pem
[ "$pem" = "$(openssl pkey -pubin -inform DER -in "$work.key")$newline" ] || differs 'keys/log.pem is not the key in keys/log.vkey'

#: checkpoint
size=0
if signed_by_key checkpoint; then
  say 'OK: signature of checkpoint'
else
  differs 'the signature of checkpoint'
fi
signed_origin=${text%%"$newline"*}
rest=${text#*"$newline"}
size=${rest%%"$newline"*}
rest=${rest#*"$newline"}
root64=${rest%%"$newline"*}
from_base64 "$root64"
root=$bytes
if [ "$text" != "$signed_origin$newline$size$newline$root64$newline" ] || [ "$signed_origin" != "$origin" ] || ! is_number "$size"; then
  differs 'the text of checkpoint'
  size=0
fi
[ "$size" -gt "$before" ] || differs 'the key was not in force at the size of checkpoint'
if signed_by_key META-INF/manifest.note; then
  say 'OK: signature of META-INF/manifest.note'
else
  differs 'the signature of META-INF/manifest.note'
fi
a=$(sha256sum < META-INF/ASiCManifest001.xml)
b=$(sha256sum < checkpoint)
[ "$text" = "guia.bundle/v1${newline}manifest sha256:${a%% *}${newline}checkpoint sha256:${b%% *}$newline" ] || differs 'META-INF/manifest.note signs other files'

#: records
used=' '
disclosed=0
redacted=0
erased=0
check_lines() {
  file=$1
  lines=0
  of='?'
  while IFS= read -r line; do
    case $line in
    "  \"${file%.jsonl}\": "*) of=${line#*: }; of=${of%,} ;;
    esac
  done < cover.json
  say "$file: $of events, one by one"
  previous=-1
  while IFS= read -r line; do
    lines=$((lines + 1))
    errors=$bad
    IFS='"'; set -- $line; unset IFS
    if [ $# -lt 11 ]; then differs "$file line $lines"; continue; fi
    index=${3#:}
    index=${index%,}
    leaf=$6
    where="$file event $index"
    if ! is_number "$index"; then differs "$file line $lines: index"; continue; fi
    [ "$index" -gt "$previous" ] || differs "$where: order"
    previous=$index
    shift 8
    block=
    number=0
    while [ $# -gt 12 ] && { [ "$1" = ':[{' ] || [ "$1" = '},{' ]; }; do
      number=$((number + 1))
      block="$block$8  $4$newline"
      case ${10} in
      salt)
        disclosed=$((disclosed + 1))
        from_base64 "${12}"
        salt=$bytes
        if [ ${#16} -le 400 ]; then
          from_base64 "${16}"
          hash=$(printf "$salt$bytes" | sha256sum)
        else
          bytes=
          hash=$({ printf "$salt"; printf '%s' "${16}" | openssl base64 -d -A; } | sha256sum)
        fi
        [ "${hash%% *}" = "$8" ] && [ ${#salt} -eq 128 ] || differs "$where, field $4: value or salt"
        case $4 in
        file.???? | raw.file)
          value=$(printf "$bytes")
          value=${value#sha256:}
          value=${value%% *}
          case $sums in
          *"$newline$value  files/$value$newline"*) used="$used$value " ;;
          *)
            case $line in
            *"{\"name\":\"$4.missing\","*) ;;
            *) differs "$where, field $4: the attachment is missing" ;;
            esac
            ;;
          esac
          ;;
        esac
        shift 16
        ;;
      withheld)
        case ${12} in
        redacted) redacted=$((redacted + 1)) ;;
        erased) erased=$((erased + 1)) ;;
        *) differs "$where, field $4: reason" ;;
        esac
        shift 12
        ;;
      *) differs "$where, field $4: form"; break ;;
      esac
    done
    hash=$(printf '%s' "$block" | sha256sum)
    case $leaf in
    'guia.leaf/v1\n'*"\\nfields $number ${hash%% *}\\n") ;;
    *) differs "$where: the fields are not those of the leaf" ;;
    esac
    hash=$(printf '\000%b' "$leaf" | sha256sum)
    from_hex "${hash%% *}"
    r=$bytes
    fn=$index
    sn=$((size - 1))
    if [ "${2-}" != proof ]; then differs "$where: form"; set -- 1 2 3; fi
    shift 3
    while [ $# -gt 1 ]; do
      from_base64 "$1"
      shift 2
      if [ $sn -le 0 ]; then r=; break; fi
      if [ $((fn & 1)) -eq 1 ] || [ $fn -eq $sn ]; then
        node "$bytes" "$r"
        while [ $((fn & 1)) -eq 0 ] && [ $fn -ne 0 ]; do fn=$((fn >> 1)); sn=$((sn >> 1)); done
      else
        node "$r" "$bytes"
      fi
      fn=$((fn >> 1))
      sn=$((sn >> 1))
    done
    if [ "$r" != "$root" ] || [ $sn -ne 0 ] || [ "$index" -ge "$size" ]; then differs "$where: the proof does not lead to the root"; fi
    [ $errors -ne $bad ] || say "OK: $where ($lines of $of)"
  done < "$file"
  if [ -n "$line" ]; then differs "$file: the last line has no end"; fi
}
check_lines custody.jsonl
custody=$lines
disclosed=0
redacted=0
erased=0
check_lines records.jsonl
records=$lines

#: files
files=0
for name in $sums; do
  case $name in
  files/*)
    files=$((files + 1))
    case $used in
    *" ${name#files/} "*) ;;
    *) differs "no disclosed field names $name" ;;
    esac
    ;;
  esac
done

#: consistency
set +f
for file in consistency/*-*; do
  [ -e "$file" ] || continue
  set -f
  old=${file#consistency/}
  new=${old#*-}
  old=${old%%-*}
  if ! is_number "$old" || [ "$new" != "$size" ] || [ ! -e "consistency/$old.checkpoint" ]; then differs "$file"; continue; fi
  key_for "$old"
  signed_by_key "consistency/$old.checkpoint" || differs "the signature of consistency/$old.checkpoint"
  oldtext=${text#"$signed_origin$newline$old$newline"}
  from_base64 "${oldtext%"$newline"}"
  oldroot=$bytes
  [ "$text" = "$signed_origin$newline$old$newline${oldtext%"$newline"}$newline" ] || differs "the text of consistency/$old.checkpoint"
  text=
  hashes=
  {
    IFS= read -r head
    while IFS= read -r line && [ -n "$line" ]; do hashes="$hashes $line"; done
    while IFS= read -r line; do text=$text$line$newline; done
  } < "$file"
  same=
  while IFS= read -r line; do same=$same$line$newline; done < checkpoint
  [ "$head" = "old $old" ] && [ "$text" = "$same" ] || differs "$file is about another checkpoint"
  set -- $hashes
  fn=$((old - 1))
  sn=$((size - 1))
  if [ "$old" -eq 0 ] || [ "$old" -eq "$size" ]; then
    ok=$((!$#))
    if [ "$old" -eq "$size" ] && [ "$oldroot" != "$root" ]; then ok=0; fi
    if [ "$old" -eq 0 ] && [ "$oldtext" != "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=$newline" ]; then ok=0; fi
  else
    while [ $((fn & 1)) -eq 1 ]; do fn=$((fn >> 1)); sn=$((sn >> 1)); done
    if [ $fn -eq 0 ]; then
      fr=$oldroot
    else
      from_base64 "${1-}"
      fr=$bytes
      [ $# -eq 0 ] || shift
    fi
    sr=$fr
    ok=1
    while [ $# -gt 0 ]; do
      from_base64 "$1"
      shift
      next=$bytes
      if [ $sn -le 0 ]; then ok=0; break; fi
      if [ $((fn & 1)) -eq 1 ] || [ $fn -eq $sn ]; then
        node "$next" "$fr"; fr=$r
        node "$next" "$sr"; sr=$r
        while [ $((fn & 1)) -eq 0 ] && [ $fn -ne 0 ]; do fn=$((fn >> 1)); sn=$((sn >> 1)); done
      else
        node "$sr" "$next"; sr=$r
      fi
      fn=$((fn >> 1))
      sn=$((sn >> 1))
    done
    if [ "$fr" != "$oldroot" ] || [ "$sr" != "$root" ] || [ $sn -ne 0 ]; then ok=0; fi
  fi
  if [ $ok -eq 1 ]; then say "OK: $file"; else differs "$file: the older tree is not the beginning of this one"; fi
done
set -f

#: cover
covered() {
  case $line in
  "  \"$1\": "*) [ "$line" = "  \"$1\": $2," ] || differs "cover.json: $1 is $2" ; found=$((found + 1)) ;;
  esac
}
found=0
while IFS= read -r line; do
  covered origin "\"$signed_origin\""
  covered size "$size"
  covered root "\"$root64\""
  covered records "$records"
  covered custody "$custody"
  covered files "$files"
  covered disclosed "$disclosed"
  covered redacted "$redacted"
  covered erased "$erased"
done < cover.json
[ $found -eq 9 ] || differs 'cover.json: form'

#: verdict
say "$records records, $custody acts of custody, $disclosed fields disclosed, $redacted redacted, $erased erased"
if [ $bad -ne 0 ]; then
  say "VERDICT: DAMAGED ($bad)"
  exit 3
fi
case $trusted in
*+*' until '*)
  until=${trusted##* }
  trusted=${trusted%%" "*}
  if [ "$trusted" = "$signer" ] && is_number "$until" && [ "$size" -le "$until" ]; then
    say "VERDICT: PROVEN with the key $trusted, replaced after size $until"
    exit 0
  fi
  ;;
*+*+*)
  case " $keys " in
  *" $trusted "*)
    say "VERDICT: PROVEN with the key $trusted"
    exit 0
    ;;
  esac
  ;;
esac
say "VERDICT: CONSISTENT, TRUST NOT ESTABLISHED: signed with $signer"
exit 1
