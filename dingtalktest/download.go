package dingtalktest

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

var downloadCalls = []endpoint{
	{method: "POST", path: "/v1.0/storage/spaces/{spaceId}/dentries/{dentryId}/downloadInfos/query", scope: "Storage.DownloadInfo.Read", do: downloadInfo},
	{method: "GET", path: "/v1.0/drive/spaces/{spaceId}/files/{fileId}/downloadInfos", do: oldDownloadInfo},
}

const downloadLife = 900 * time.Second

// downloadable is the file and version that was asked for. An archived file is restored by the asking; the next call finds it.
func (c *call) downloadable(name string, version int64) (*file, int64) {
	f := c.file(name)
	switch {
	case f == nil:
		return nil, 0
	case f.folder:
		c.fail(newFault(400, "operationNotSupported", "文件夹不支持下载"))
		return nil, 0
	case strings.HasPrefix(f.extension(), "a"):
		c.fail(newFault(400, "dentryDownloadProtocolNotSupport", "在线文档不支持下载"))
		return nil, 0
	case f.archived || c.t.takes(ArchiveFile, c.path()):
		f.archived = false
		c.fail(newFault(400, "fileArchived", "文件已归档，正在解冻，请稍后重试"))
		return nil, 0
	}
	if version == 0 {
		version = f.version
	}
	if version < 1 || version > f.version {
		c.fail(newFault(404, "dentryNotExist", "版本不存在"))
		return nil, 0
	}
	return f, version
}

func downloadInfo(c *call) object {
	option := c.in("option")
	version := option.number("version", 0)
	if c.bad = option.bad; c.bad != nil {
		return nil
	}
	f, version := c.downloadable("dentryId", version)
	if f == nil {
		return nil
	}
	address, headers := c.t.sign(f, version, c.now)
	return object{"protocol": "HEADER_SIGNATURE", "headerSignatureInfo": object{
		"resourceUrls": []string{address}, "headers": headers, "expirationSeconds": int(downloadLife / time.Second), "region": f.space.region,
		"internalResourceUrls": []string{},
	}}
}

func oldDownloadInfo(c *call) object {
	f, version := c.downloadable("fileId", 0)
	if f == nil {
		return nil
	}
	address, headers := c.t.sign(f, version, c.now)
	o := object{"downloadInfo": object{"resourceUrl": address, "headers": headers, "expirationSeconds": int(downloadLife / time.Second)}}
	if c.flag("withRegion") {
		o["region"] = f.space.region
	}
	return o
}

// sign makes the address and the headers that must come with it.
func (t *Tenant) sign(f *file, version int64, now time.Time) (address string, headers map[string]string) {
	p := fmt.Sprintf("/%s/%s/%d/%s", strings.ToLower(f.space.region), f.id, version, url.PathEscape(f.name))
	date := now.UTC().Format(http.TimeFormat)
	return t.options.Addresses.Files + p, map[string]string{"x-oss-date": date, "Authorization": t.signature(p, date)}
}

func (t *Tenant) signature(escaped, date string) string {
	h := hmac.New(sha1.New, []byte(t.company.id))
	h.Write([]byte("GET\n\n\n" + date + "\n" + escaped))
	return "OSS TestData:" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Files serves the bytes of files. It belongs on another port than [Tenant.Handler], as the storage is another host.
func (t *Tenant) Files() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deny := func(status int, code string) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code></Error>", code)
		}
		date := r.Header.Get("x-oss-date")
		at, err := http.ParseTime(date)
		t.mu.Lock()
		defer t.mu.Unlock()
		now := t.clock.Now()
		if r.URL.Query().Has("code") {
			t.serveMessageFile(w, r.URL.Query().Get("code"), deny)
			return
		}
		switch {
		case r.Header.Get("Authorization") == "":
			deny(http.StatusForbidden, "AccessDenied")
			return
		case err != nil || r.Header.Get("Authorization") != t.signature(r.URL.EscapedPath(), date):
			deny(http.StatusForbidden, "SignatureDoesNotMatch")
			return
		case now.Sub(at) > downloadLife:
			deny(http.StatusForbidden, "RequestTimeTooSkewed")
			return
		}
		s := strings.Split(r.URL.EscapedPath(), "/")
		f := t.files.find(s[2])
		version, _ := strconv.ParseInt(s[3], 10, 64)
		if f == nil {
			deny(http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Write(f.bytes(version)) //nolint:errcheck // a caller who went away is no concern of the tenant
	})
}

func downloadMessageFile(c *call) object {
	if !c.need("downloadCode", "robotCode") {
		return nil
	}
	for _, m := range c.t.received {
		if m.code == c.text("downloadCode") {
			return object{"downloadUrl": c.t.options.Addresses.Files + "/shanghai/message?" + url.Values{"code": {m.code}}.Encode()}
		}
	}
	return c.fail(newFault(400, "invalidParameter.downloadCode", "downloadCode不存在"))
}

func (t *Tenant) serveMessageFile(w http.ResponseWriter, code string, deny func(int, string)) {
	for _, m := range t.received {
		if m.code == code && m.file != nil {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Write(m.file.bytes(m.file.version)) //nolint:errcheck // a caller who went away is no concern of the tenant
			return
		}
	}
	deny(http.StatusNotFound, "NoSuchKey")
}
