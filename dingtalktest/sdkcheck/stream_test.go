package sdkcheck

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/open-dingtalk/dingtalk-stream-sdk-go/chatbot"
	stream "github.com/open-dingtalk/dingtalk-stream-sdk-go/client"
	streamevent "github.com/open-dingtalk/dingtalk-stream-sdk-go/event"
	"github.com/open-dingtalk/dingtalk-stream-sdk-go/payload"

	"guia/dingtalktest"
)

// TestTheStreamSDKReceivesAndAcknowledges opens one Stream: the SDK panics when it reconnects, so it is closed for good at the end.
func TestTheStreamSDKReceivesAndAcknowledges(t *testing.T) {
	tenant := found()
	app, cast := tenant.App(), tenant.Cast()
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan dingtalktest.Addresses, 1), make(chan error, 1)
	go func() { ended <- tenant.Serve(ctx, "127.0.0.1:0", func(a dingtalktest.Addresses) { ready <- a }) }()
	address := <-ready

	events := make(chan *streamevent.EventHeader, 100)
	data := sync.Map{} // by event id
	later := sync.Once{}
	heard := make(chan *chatbot.BotCallbackDataModel, 10)
	handler := streamevent.NewDefaultEventFrameHandler(func(_ context.Context, h *streamevent.EventHeader, raw []byte) (streamevent.EventProcessStatusType, error) {
		status := streamevent.EventProcessStatusKSuccess
		later.Do(func() { status = streamevent.EventProcessStatusKLater })
		data.Store(h.EventId, append([]byte(nil), raw...))
		events <- h
		return status, nil
	})
	sdk := stream.NewStreamClient(
		stream.WithAppCredential(stream.NewAppCredentialConfig(app.Key, app.Secret)), stream.WithOpenApiHost(address.API), stream.WithAutoReconnect(false),
	)
	sdk.RegisterAllEventRouter(func(ctx context.Context, df *payload.DataFrame) (*payload.DataFrameResponse, error) {
		return handler.OnEventReceived(ctx, df)
	})
	sdk.RegisterChatBotCallbackRouter(func(_ context.Context, m *chatbot.BotCallbackDataModel) ([]byte, error) {
		heard <- m
		return nil, nil
	})
	if err := sdk.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually := func(what string, ok func() bool) {
		t.Helper()
		late := time.After(10 * time.Second)
		for tick := time.Tick(time.Millisecond); ; { // the tick first, for the SDK is still busy with a frame when its answer is here
			select {
			case <-tick:
			case <-late:
				t.Fatal("never: " + what)
			}
			if ok() {
				return
			}
		}
	}
	eventually("the Stream is open", func() bool { return tenant.Connections(app.Key) == 1 })
	answers := 0
	// answered waits until one more frame was answered: the SDK writes without a lock, so frames go to it one by one.
	answered := func() {
		t.Helper()
		answers++
		eventually("the answer arrives", func() bool { return len(tenant.Answers()) == answers })
	}
	next := func() *streamevent.EventHeader {
		t.Helper()
		answered()
		return <-events // what is answered was handled
	}

	// The first answer is LATER: the same event comes again after ten seconds, and then no more.
	tenant.Leave(cast["salesman"], "合同到期不续签")
	first := next()
	same(t, "the event", []any{first.EventType, first.EventCorpId}, []any{"user_leave_org", tenant.CorpID()})
	same(t, "when it was born", first.EventBornTime, tenant.Clock().Now().UnixMilli())
	tenant.Clock().Advance(10 * time.Second)
	same(t, "what comes again after LATER", next().EventId, first.EventId)
	raw, _ := data.Load(first.EventId)
	var left struct {
		TimeStamp string   `json:"timeStamp"`
		UserID    []string `json:"userId"`
	}
	if err := json.Unmarshal(raw.([]byte), &left); err != nil {
		t.Fatal(err)
	}
	same(t, "who left", left.UserID, []string{cast["salesman"]})

	joined := tenant.Join(tenant.Person(cast["hr"]).Department)
	h := next()
	raw, _ = data.Load(h.EventId)
	if err := json.Unmarshal(raw.([]byte), &left); err != nil {
		t.Fatal(err)
	}
	same(t, "who joined", []any{h.EventType, left.UserID}, []any{"user_add_org", []string{joined}})
	tenant.Announce("颱風安排", "八號風球下停工。")
	same(t, "an announcement", next().EventType, "blackboard_sent")
	tenant.Ping(app.Key)
	answered()

	who := tenant.Person(cast["accountant"])
	said := tenant.Say(who.UserID, "", "請問假期餘額還有多少？")
	answered()
	m := <-heard
	same(t, "the message", []any{m.MsgId, m.SenderStaffId, m.SenderNick, m.Text.Content, m.ConversationType, m.ChatbotCorpId, m.CreateAt, m.Msgtype},
		[]any{said, who.UserID, who.Name, "請問假期餘額還有多少？", "1", tenant.CorpID(), tenant.Clock().Now().UnixMilli(), "text"})
	tenant.Clock().Advance(10 * time.Minute)
	select {
	case h := <-events:
		t.Errorf("%s was acknowledged and came again", h.EventType)
	default:
	}
	same(t, "the answers' codes", tenant.Answers(), append([]int{500}, slices.Repeat([]int{200}, answers-1)...)) // the SDK says LATER with 500
	same(t, "how many Streams are open", tenant.Connections(app.Key), 1)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
